#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Starts one relay: what it hands bytes from and to, and nothing else.
 *
 *   Of namespaces it has those of what runs for network and processes, System V IPC and a host name of its own; files
 *   are root.h's. So it can connect to what runs, and to nothing of this machine: no address, no abstract or other socket.
 *   It is a user whom nobody else is, without groups, capabilities, a way to new privileges. What runs is others, and
 *   can neither trace nor signal it, nor reach its descriptors.
 *   Once it runs it is counted in the control groups of what runs (groups.h): processor, memory and processes that it
 *   takes are that one's own. Not before, or what is at its limits would hold up the relays of others.
 *   The kernel ends it with the first process of its PID namespace. Its parent is that process, or that one's end would
 *   wait until somebody here has taken note of the relay's.
 *
 * Taken over, it could do to what runs what its visitors could, and to this machine less than what runs.
 */
#define RELAY_CONNECTIONS 256 /* at a time; what comes then is closed */
struct relay_launch {
    int process; /* the first of what runs, by a descriptor */
    int root;
    const char *socket; /* to be made; what lies there goes */
    uid_t user;
    gid_t gateway;       /* may connect */
    const char *address; /* «127.0.0.1:8888», «::1:8888» */
};
/* Returns when its program runs. */
int relay_launch(const struct relay_launch *l, struct error **err) _must_check_;
/* NULL: this machine has none, for want of RELAY_PACKAGE. */
#define RELAY_PACKAGE "systemd-socket-proxyd (package systemd)"
const char *relay_program(void);
