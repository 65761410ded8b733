#pragma once

#include "cli/layout.h"

/* The bodies of the server's and the runner's processes, the same under `run` and under a unit of their own. Exit
 * codes. The server tells by `ready_fd` (-1: the service manager) that it is ready, or why it is not: lines "setup
 * CODE", "ready", "failed REASON"; and by `reason`, where that is not NULL (the caller frees). */
int process_server(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int peers_fd,
                   int stop_fd, int ready_fd, char **reason);
int process_runner(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int stop_fd);
/* The server's place while it cannot start (away.h): the same user, the same sockets. */
int process_away(const struct layout *l, const int fds[static SOCKETS], int stop_fd, const char *reason,
                 int64_t until_us);
