#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "client/transport.h"
#include "runner/runtime/runtime.h"

/* Shared by the files of the engine: engine.c (calls), engine_spec.c (what a container is made from), engine_find.c
 * (sockets), engine_service.c (a service of our own), engine_watch.c (events), engine_logs.c. */

#define API "/v1.41"
#define LIBPOD "/v4.0.0/libpod"

#define LABEL_INSTALLATION "io.openhydra.installation"
#define LABEL_DEVICE "io.openhydra.device"
#define LABEL_UID "io.openhydra.device-uid"
#define LABEL_OWNER "io.openhydra.owner"
#define LABEL_GENERATION "io.openhydra.generation"
#define LABEL_NETWORK "io.openhydra.network" /* there where it has one: private networks that it may reach */
#define LABEL_REVISION "io.openhydra.revision"
#define TOKEN_VARIABLE "OPENHYDRA_TOKEN"
#define SOCKET_VARIABLE "OPENHYDRA_SOCKET"

struct engine {
    struct runtime base;
    char *configured, *directory, *installation;
    int stop_fd;
    bool rootless, docker_only;
    pthread_mutex_t lock;
    struct transport *transport;        /* under the lock until set, then for good */
    char *missing;                      /* why there is none; under the lock */
    struct runtime_facts facts;         /* under the lock; found out anew each time the engine comes back */
    atomic_bool podman, libpod, limits; /* of these, for who holds no lock */
    struct map *guarded;                /* uid → for what its rules were made; under the lock */
    bool profile_written;               /* under the lock */
    char *own_socket;                   /* where it is (to be) ours. These two: watch thread only */
    pid_t service;                      /* 0: not started by this process */
    pthread_t thread;
    bool started;
    struct runtime_listener listener;
};

/* Paths end up in a URL: uids are checked before they get here. */
char *container_name(struct arena *a, const char *uid);
char *url_quote(struct arena *a, const char *s);
/* The label filter that selects this installation's containers, quoted for a query. */
char *engine_filter(struct arena *a, const char *installation);

/* One call. `wanted` are the statuses that are no failure; 404 is NotFound. `answer` may be NULL. */
struct request {
    const char *method, *path;
    yyjson_mut_doc *body; /* NULL: none */
    unsigned timeout_ms;
    unsigned wanted[3];
};
int engine_request(struct engine *e, const struct request *r, yyjson_doc **answer, struct error **err) _must_check_;
/* ServiceUnavailable while there is none. */
int engine_transport(struct engine *e, struct transport **out, struct error **err) _must_check_;

/* The container that has the name of this environment's and the labels of it and of this installation: names alone are
 * the server's word. NotFound; Conflict where it is another's. The id is quoted for a path. */
int engine_inspect(struct engine *e, struct arena *a, const char *uid, yyjson_doc **out, struct error **err)
    _must_check_;
int engine_find(struct engine *e, struct arena *a, const char *uid, const char **id, struct error **err) _must_check_;

/* Gives a container that was not started its network, with the rules of network.h, before anything runs in it. */
int engine_network_prepare(struct engine *e, struct arena *a, const char *uid, struct error **err) _must_check_;
/* Makes a running one's rules anew where this machine has other addresses by now, or a runner before this one made
 * them. */
void engine_network_refresh(struct engine *e, const char *uid, yyjson_val *container);
void engine_network_forget(struct engine *e, const char *uid);

/* The share of the processor of who reads what an environment prints. `cgroups`: as /proc/PID/cgroup says it. */
void engine_conmon_bound(const char *uid, pid_t pid);
void engine_conmon_release(pid_t pid);
void engine_conmon_forget(const char *uid);
char *engine_conmon_scope(const char *cgroups);

/* Where the engine finds the profile of system calls. */
char *engine_seccomp_path(struct arena *a, const struct engine *e);
yyjson_mut_doc *engine_body(const struct engine *e, const struct runtime_spec *spec);

/* Finds an engine that answers, starting one as a last resort; sets transport and facts. */
int engine_connect(struct engine *e, struct error **err) _must_check_;
/* What it is and can, and whether that will do: an engine that comes back may have been set up anew. */
int engine_read_facts(struct engine *e, struct transport *t, struct error **err) _must_check_;
int engine_check_side(const struct engine *e, bool libpod, const struct runtime_facts *f, struct error **err)
    _must_check_;
/* Starts `podman system service` on `socket`, where it does not run. */
int engine_service_start(struct engine *e, const char *socket, struct error **err) _must_check_;
/* Notices its end; true where it runs. */
bool engine_service_alive(struct engine *e);
void engine_service_stop(struct engine *e);
/* containers.conf for it. The caller frees. */
char *engine_service_conf(void);

/* Whether the kernel's log says that it ended a process of that container for memory. */
bool engine_killed_for_memory(const char *container_id);

void *engine_watch(void *arg);
int engine_logs(struct runtime *r, const char *uid, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err);

/* The stream format of /containers/…/logs: an 8-byte head (stream, 0, 0, 0, size in big endian) before each piece. */
struct demultiplexer {
    unsigned char head[8];
    size_t head_len, left;
    bool plain; /* a terminal's log: no heads */
};
int demultiplex(struct demultiplexer *d, struct str in, int (*write)(void *arg, struct str text), void *arg);
