#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "config/config.h"
#include "runner/gpu/gpu.h"
#include "runner/runtime/runtime.h"

/* The environment controller: owns the engine, is a client of the server's API, listens on no network. */
struct runner_options {
    const struct config *config;
    int logs_fd;                         /* listening unix socket for logs and statistics (the server asks); -1: none */
    const char *server_socket;           /* the server's runner.sock */
    const char *environments;            /* <runtime>/env: directories of sockets */
    bool rootless;                       /* we are root of a user namespace of Podman's, if at all */
    gid_t gateway_gid;                   /* may connect to the environments' sockets */
    uid_t server_uid;                    /* may ask on logs_fd */
    const struct gpu_places *gpu_places; /* NULL: as everywhere */
};

/* Controls until stop_fd is readable. Environments go on. 0: ended as asked. */
int runner_run(const struct runner_options *options, int stop_fd, struct error **err) _must_check_;
/* The runtime by itself, for who asks it something: waits until it answers. Its calls end with `end_fd`, the wait with
 * `stop_fd` too. */
struct runtime *runner_open_runtime(const struct runner_options *options, int end_fd, int stop_fd, struct error **err)
    _must_check_;
/* Removes all environments of this installation, saying so line by line on standard output. Homes stay. */
int runner_down(const struct runner_options *options, int stop_fd, struct error **err) _must_check_;
