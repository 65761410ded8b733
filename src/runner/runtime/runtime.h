#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/*
 * What runs environments: today an engine (Podman, Docker), later a cluster. The controller knows this file alone.
 *
 * Every call may be made from any thread, ends by a deadline of its own and at once when `stop_fd` becomes readable.
 * Failures have a reason: NotFound (no such environment, no such image), ServiceUnavailable (nobody answers), Timeout,
 * Invalid (what was asked for cannot be: it will not get better by trying again), Internal (anything else that the
 * runtime says).
 */
struct runtime_mount {
    const char *source, *target;
    bool read_only, executable; /* read_only: the source is a mount that is so already, with all below it */
};

struct runtime_variable {
    const char *name, *value;
};

struct runtime_spec {
    const char *device, *uid, *owner, *sandbox; /* names: DNS labels or subdomains, checked */
    int64_t generation;
    uint64_t revision; /* of the store, at which the device was */
    const char *image;
    const char *const *command, *const *arguments; /* NULL: the image's own */
    size_t command_len, arguments_len;
    const struct runtime_variable *variables;
    size_t variables_len;
    const struct runtime_mount *mounts;
    size_t mounts_len;
    uint32_t host_id, host_id_size; /* range of ids outside; `run_as` is the one of that place in it */
    bool mapped;                    /* a user namespace of its own, with that range */
    uint32_t run_as;                /* user and group inside */
    uint64_t memory_bytes, cpu_milli;
    unsigned pids;
    bool network; /* the internet; of what is private, only what follows: «10.1.2.0/24» */
    const char *const *network_allow;
    size_t network_allow_len;
    unsigned stop_seconds;
    const char *log_folder; /* where what it prints is kept; NULL: the runtime's own place */
};

enum instance_state { INSTANCE_CREATED, INSTANCE_RUNNING, INSTANCE_ENDED };

/* One environment as the runtime has it. */
struct instance {
    enum instance_state state;
    char *device, *uid, *owner;
    uint64_t revision;    /* of the store, at which the device was when it was made; 0: not known */
    char *token, *socket; /* as its variables say; only from inspect */
    int exit_code;
    bool out_of_memory;
    int64_t started_us; /* 0: never */
    int pid;            /* of its first process; 0: not known. This and what follows only from inspect */
    bool paused;
    bool unsupervised; /* the engine's process that watches over it is gone */
    char *said;        /* what the runtime says went wrong; NULL: nothing */
};
void instance_clear(struct instance *i);
#define _cleanup_instance_ _cleanup_(instance_clear)

/* What can be had here, and why not where it cannot. */
struct runtime_facts {
    bool user_namespace;            /* a range of host ids for each environment */
    const char *user_namespace_why; /* where false; static strings */
    bool limits;                    /* memory, CPU and processes are enforced */
    const char *limits_why;
    bool network; /* with rules for what it may reach */
    const char *network_why;
    bool rootless;
    uint32_t subordinate_ids; /* rootless: the ids from 1 to this are no account; 0 is who started the engine */
};

struct runtime_usage {
    uint64_t memory_bytes, memory_limit, cpu_ns;
    unsigned pids;
};

struct runtime_listener {
    /* Something happened to that device's environment. */
    void (*changed)(void *arg, const char *device);
    /* The runtime went away (with the reason), or is (again) there: then anything may have changed meanwhile. */
    void (*available)(void *arg, bool up, const char *message);
    void *arg;
};

#define RUNTIME_LOG_ALL ((unsigned)-1)
struct runtime_log_options {
    bool follow;
    unsigned tail; /* lines; RUNTIME_LOG_ALL: all that is kept */
    int stop_fd;   /* ends it; -1: none */
};

struct runtime;
struct runtime_ops {
    const char *name;
    /* Begins to watch; the listener is called from a thread of the runtime's until `free`. */
    void (*start)(struct runtime *r, const struct runtime_listener *l);
    int (*facts)(struct runtime *r, struct runtime_facts *out, struct error **err);
    /* 1: there, 0: not. */
    int (*image_present)(struct runtime *r, const char *image, struct error **err);
    /* Makes it, where there is none for that uid, and starts it, where it does not run. */
    int (*ensure)(struct runtime *r, const struct runtime_spec *spec, struct error **err);
    int (*inspect)(struct runtime *r, const char *uid, struct instance *out, struct error **err);
    /* Ends and removes; 0 too where there was none, or one of the name that is not ours. When it returns 0 nothing of
     * it is left. */
    int (*remove)(struct runtime *r, const char *uid, unsigned grace_seconds, struct error **err);
    /* All environments of this installation. The caller frees with runtime_free_instances. */
    int (*list)(struct runtime *r, struct instance **out, size_t *n, struct error **err);
    /* Plain text, as it comes. Returns when all is said (follow: when it ended or was stopped). A negative `write` ends
     * it. */
    int (*logs)(struct runtime *r, const char *uid, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err);
    int (*usage)(struct runtime *r, const char *uid, struct runtime_usage *out, struct error **err);
    void (*free)(struct runtime *r);
};

struct runtime {
    const struct runtime_ops *ops;
};
void runtime_free_instances(struct instance *list, size_t n);

/* Podman or Docker, by the Engine API on a unix socket. */
struct engine_options {
    const char *socket;       /* configured; NULL: looked for, at last started */
    const char *directory;    /* for a service of our own: socket, configuration, log */
    const char *installation; /* tells our environments from another installation's on the same engine */
    int stop_fd;
    bool rootless;    /* without root only an engine without root sees our mounts, and the other way round */
    bool docker_only; /* leave Podman's own calls aside (tests) */
};
struct runtime *engine_new(const struct engine_options *options);
