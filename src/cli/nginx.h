#pragma once

#include "cli/layout.h"

/* The gateway's process: nginx, as its own unprivileged user, with a configuration of ours. */

/* Certificates, ports, configuration, files: all that nginx needs before it starts, and again when a certificate was
 * renewed (1: something changed and a running nginx has to reload). */
int nginx_prepare(const struct config *c, const struct layout *l, struct error **err) _must_check_;
/* Whether the ports can be had; said before nginx would fail with less. Finds the environments' ports that others hold,
 * too. */
int nginx_check_ports(const struct config *c, const struct layout *l, struct error **err) _must_check_;
/* Starts it; ends with us. Returns its process id. */
pid_t nginx_start(const struct layout *l, struct error **err) _must_check_;
/* Its master has ended, perhaps without a chance to end its workers: they would go on serving, and hold the ports. */
void nginx_end_workers(pid_t master);
/* Whether its ports take connections: it says nothing of its own when it does. */
bool nginx_answers(const struct config *c);
