#pragma once

#include "cli/layout.h"

/* The gateway's process: nginx, as its own unprivileged user, with a configuration of ours. */

/* Where nginx is; NULL: not installed. */
const char *nginx_program(void);
/* Whether the ports can be had; said before nginx would fail with less. Finds the environments' ports that others hold,
 * too. */
int nginx_check_ports(const struct config *c, const struct layout *l, struct error **err) _must_check_;
/* Ends what a start whose processes were all killed has left: workers without a master, which would hold the ports.
 * They are ours where they hold the lock that only we can open. */
int nginx_end_orphans(const struct layout *l, struct error **err) _must_check_;
/* Starts it, with its listening sockets and a writer for what it says; ends with us. Returns its process id. */
pid_t nginx_start(const struct config *c, const struct layout *l, struct error **err) _must_check_;
/* Its master has ended, perhaps without a chance to end its workers: they would go on serving, and hold the ports. */
void nginx_end_workers(pid_t master);
/* Whether its ports take connections: it says nothing of its own when it does. */
bool nginx_answers(const struct config *c);
