#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "client/transport.h"
#include "config/config.h"
#include "runner/gpu/gpu.h"
#include "runner/homes/menders.h"
#include "runner/relay/relays.h"
#include "runner/runtime/runtime.h"

/*
 * The engine as somebody to be asked, and what is known of it. The bottom of its room:
 *   engine     the operations of runtime.h, life       watch     the one thread: finds it, follows its events
 *   container  ours by labels, found, read, ended      find      sockets; service: one of our own
 *   body       what a container is made from           facts     what it is and can
 *   host       what it has on this machine besides: ids (hostid), home, places (place), a log
 *   guard      the rules of its network (network)      ports     those on TCP (relays: runner/relay)
 *   gpus       which it gets of this machine's (runner/gpu)
 *   guard      the rules of its network (network)      image      found, pulled (pull_stream: what is said meanwhile);
 *                                                      image_list, image_archive
 *   inside     programs that are run in it for a while
 *   shortage   what they lack, by their control groups (cgroup)
 *   conmon, oom, process, logs                         storage    what an owner's homes take (runner/quota)
 */

#define API "/v1.41"
#define LIBPOD "/v4.0.0/libpod"
#define QUICK_MS 10000
#define SLOW_MS 60000 /* a disk that is busy with sixty starts */

struct engine_facts {
    struct runtime_facts seen;
    bool rootless;
    char version[40];
    uint32_t subordinate_ids; /* rootless: the ids from 1 to this are no account; 0 is who started the engine */
};

struct engine {
    struct runtime base;
    const struct config *config;
    char *places; /* folder */
    gid_t gateway_gid;
    char *configured, *directory, *installation;
    int stop_fd;
    bool rootless, docker_only;
    pthread_mutex_t lock;
    struct transport *transport;        /* under the lock until set, then for good */
    char *missing;                      /* why there is none; under the lock */
    struct engine_facts facts;          /* under the lock; found out anew each time the engine comes back */
    atomic_bool podman, libpod, limits; /* of these, for who holds no lock */
    struct relays *relays;
    struct menders *menders;
    struct shortages *shortages;
    struct map *guarded;     /* instance → for what its rules were made; under the lock */
    struct map *gpu_holders; /* instance → id of its container, where it has GPUs; under the lock */
    struct gpus *gpus;       /* NULL: nobody looks for any */
    struct gpu_places gpu_places;
    /* How many share a GPU; under the lock. NULL: as the configuration says. */
    struct time_slicing *slicing;
    bool profile_written; /* under the lock */
    char *own_socket;     /* where it is (to be) ours. These two: watch thread only */
    pid_t service;        /* 0: not started by this process */
    pthread_t thread;
    bool started;
    struct runtime_listener listener;
};
struct engine *engine_of(struct runtime *r);

char *url_quote(struct arena *a, const char *s);

/* One call. `wanted` are the statuses that are no failure; 404 is NotFound. `answer` may be NULL. */
struct request {
    const char *method, *path;
    yyjson_mut_doc *body; /* NULL: none */
    unsigned timeout_ms;
    unsigned wanted[3];
};
int engine_request(struct engine *e, const struct request *r, yyjson_doc **answer, struct error **err) _must_check_;
/* On a connection that is not taken yet. */
int engine_request_on(struct engine *e, struct transport *t, const struct request *r, yyjson_doc **answer,
                      struct error **err) _must_check_;
/* The failure that an answer of the engine's is, in its own words. */
int engine_refused(const char *method, const struct answer *a, struct error **err) _must_check_;
/* ServiceUnavailable while there is none. */
int engine_transport(struct engine *e, struct transport **out, struct error **err) _must_check_;
