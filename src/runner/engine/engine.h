#pragma once

#include "config/config.h"
#include "runner/gpu/gpu.h"
#include "runner/runtime/runtime.h"

/* Podman or Docker, by the Engine API on a unix socket. */
struct engine_options {
    const char *socket;       /* configured; NULL: looked for, at last started */
    const char *directory;    /* for a service of our own: socket, configuration, log */
    const char *installation; /* tells our environments from another installation's on the same engine */
    int stop_fd;
    bool rootless;    /* without root only an engine without root sees our mounts, and the other way round */
    bool docker_only; /* leave Podman's own calls aside (tests) */
    const struct config *config;
    const char *places; /* folder for what environments have on this machine besides their containers (place.h) */
    gid_t gateway_gid;  /* may connect to their sockets */
    const struct gpu_places *gpu_places; /* NULL: as everywhere */
};
struct runtime *engine_new(const struct engine_options *options);
