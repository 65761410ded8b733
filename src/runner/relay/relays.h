#pragma once

#include <sys/types.h>

#include "base/error.h"

/*
 * A web server that listens on TCP alone needs no network to be reached: a relay hands the bytes of a unix socket on
 * this machine to its port. It is systemd-socket-proxyd in the network namespace of what runs, with the listening
 * socket inherited. One thread keeps as many relays as there are ports:
 *
 *   it begins when somebody listens on the port, so that it is known where (127.0.0.1 or ::1 alone);
 *   it ends with what runs, by the kernel's hand, whoever else has died: it is in its PID namespace (launch.c);
 *   it is found again by a runner that was started anew, as whoever listens on the socket (find.c);
 *   it is started again if it ended; while nobody listens on the port, its socket is out of sight, so that who asks is
 *   told what a unix socket without its listener tells.
 *
 * What a relay may do is said in launch.h, what it sees of this machine's files in root.h.
 */

/* What runs, and who its relays are. */
struct relay_target {
    const char *instance;
    pid_t pid;   /* its first process … */
    int process; /* … by a descriptor, which stays the caller's */
    uid_t user;  /* of the relay: nobody else's, not even of what runs */
    gid_t gateway;
};
struct relay_port {
    const char *socket; /* in a folder that nothing inside sees: it is the runner's alone to make */
    uint16_t port;
};

struct relays;
/* Why there can be none on this machine; NULL: there can. Static. */
const char *relays_missing(void);
/* `root`: a folder to be made (root.h). */
struct relays *relays_new(const char *root, int stop_fd);
void relays_start(struct relays *all);
/* The stop descriptor must be readable. Relays go on. */
void relays_free(struct relays *all);
/* From now on its ports are relayed. Nothing new where they are already, for the same process. */
void relays_serve(struct relays *all, const struct relay_target *target, const struct relay_port *ports, size_t n);
/* It has been ended. */
void relays_forget(struct relays *all, const char *instance);
