#pragma once

#include "cli/layout.h"

/* The bodies of the server's and the runner's processes, the same under `run` and under a unit of their own. Exit
 * codes. */
int process_server(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int stop_fd,
                   int ready_fd);
int process_runner(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int stop_fd);
