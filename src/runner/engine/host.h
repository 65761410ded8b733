#pragma once

#include "runner/engine/calls.h"
#include "runner/engine/gpus.h"

/*
 * What an environment has on this machine besides its container: a range of ids outside, the owner's home, the folder of
 * its socket, copies of the mounts that all share, room for its log. What a taken-over server may ask of the machine is
 * bounded here.
 */
#define MAX_MOUNTS 5
struct mount_point {
    const char *source, *target;
    bool read_only, executable; /* read_only: the source is a mount that is so already, with all below it */
};

struct prepared {
    struct mount_point mounts[MAX_MOUNTS];
    size_t mounts_len;
    uint32_t host_id, host_id_size; /* range of ids outside; the spec's `run_as` is the one of that place in it */
    bool mapped;                    /* a user namespace of its own, with that range */
    const char *log_folder;         /* where what it prints is kept; NULL: the engine's own place */
    const char *sockets[PORTS_MAX]; /* where its ports are reached, as this machine sees it */
    uid_t relay; /* user of what hands bytes to those on TCP: the last of the range, which is nobody's */
    struct container_gpus gpus;
};

/* Makes all of it. `reason` is for the status. Everything lives in the arena. 1: not yet, as runtime.h says. */
int host_prepare(struct engine *e, const struct engine_facts *f, struct arena *a, struct runtime_spec *s,
                 struct prepared *out, const char **reason, struct error **err) _must_check_;
/* Where a port on TCP of one that runs is reached. NULL: the folder was lost. */
char *host_port_socket(struct engine *e, struct arena *a, const char *instance, const char *port);
/* Where one that runs listens; `inside` as it sees it. NULL: its folder was lost. */
char *host_socket(struct engine *e, struct arena *a, const char *instance, const char *inside);
/* Takes away all but the home. */
int host_remove(struct engine *e, const char *instance, struct error **err) _must_check_;
int host_sweep(struct engine *e, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err)
    _must_check_;
