#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "config/config.h"

/* What the server is given by whoever starts it: listening sockets, made where it could not make them itself. */
struct server_options {
    const struct config *config;
    int gateway_fd, auth_fd, runner_fd; /* listening unix sockets, one for each role */
    int peers_fd;                       /* of peers_socket (gateway/peers.h), or -1 */
    uid_t gateway_uid, runner_uid;      /* who may speak on them; (uid_t)-1: whoever can connect */
    const char *logs_socket;            /* the runner's */
    /* Ports taken by others, one a line; written by the gateway's start. May be absent. */
    const char *excluded_ports_file;
    int ready_fd; /* a line "ready" and, where there is no administrator, "setup CODE"; -1: nobody waits */
};

/* On the runner's socket, for root: the code of the set-up link, or nothing where there is an administrator. */
#define SETUP_CODE_PATH "/setup-code"

/* Serves until stop_fd is readable. 0: ended as asked. */
int server_run(const struct server_options *options, int stop_fd, struct error **err) _must_check_;
