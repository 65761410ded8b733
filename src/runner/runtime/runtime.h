#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"

/*
 * What runs environments: an engine on this machine (Podman, Docker), or a cluster. The controller knows this file
 * alone. It speaks of images, amounts, whose files and which content, and of addresses; which folders, ids and mounts
 * come of that is the runtime's own business, and so are the bounds of these.
 *
 * What runs for a device is an instance. Its name is told from all others by its id, which says nothing about the
 * device.
 *
 * Every call may be made from any thread, ends by a deadline of its own and at once when `stop_fd` becomes readable.
 * Failures have a reason: NotFound (no such instance, no such image), ServiceUnavailable (nobody answers), Timeout,
 * Invalid (what was asked for cannot be: it will not get better by trying again), Internal (anything else that the
 * runtime says).
 */
/* Ids end up in paths and addresses: letters, digits and '-', at most 64. */
bool is_plain_id(struct str s);

struct runtime_variable {
    const char *name, *value;
};

/* Where what runs listens, as it sees it. */
#define PORT_MAIN "main"
struct runtime_port {
    const char *name;   /* DNS label; the first of a list is the one by which it is entered */
    const char *socket; /* path of a unix socket, alone in its folder; NULL: it listens on TCP */
    uint16_t tcp;       /* … on this port of 127.0.0.1, ::1 or all addresses; 0: on the socket */
    const char *ready;  /* of the first: path that answers with a status below 500 when it is ready */
};
#define PORTS_MAX 16 /* a socket, and the ports of a sandbox */

/* What all share, by the name that the runtime knows it by; it is left out where there is none. */
#define CONTENT_DATA_SETS "data-sets"
#define CONTENT_COURSES "courses"
#define CONTENT_WHEELS "wheels"
#define CONTENT_MAX 3
struct runtime_content {
    const char *name, *target;
};

/* Memory of its own to write in, empty at each start; it counts against its limit. /dev/shm and /tmp are two of them. */
struct runtime_scratch {
    const char *target;
    uint64_t bytes;
};

#define SCRATCH_TMP "/tmp"
#define SCRATCH_SHM "/dev/shm"

struct runtime_spec {
    const char *instance;
    const char *device, *device_uid, *owner, *sandbox; /* names: DNS labels or subdomains, checked */
    int64_t generation;
    uint64_t revision; /* of the store, at which the device was */
    const char *image;
    const char *const *command, *const *arguments; /* NULL: the image's own */
    size_t command_len, arguments_len;
    const struct runtime_variable *variables;
    size_t variables_len;
    uint32_t run_as;   /* user and group inside */
    uint32_t owner_id; /* a number that the server gave to this owner alone, as long as the home exists; 0: none */
    /* The person, whoever had the name before or gets it after: the files are that one's alone. NULL: not known. */
    const char *owner_uid;
    uint32_t former_owner_id; /* the number of one who had the name before files said whose they are; 0: nobody */
    const char *home;         /* where the owner's files of this sandbox are inside */
    uint64_t home_quota; /* of all files of this owner, whatever the sandbox; 0: none. Enforced where that can be had */
    const struct runtime_content *content; /* read-only */
    size_t content_len;
    const struct runtime_scratch *scratch;
    size_t scratch_len;
    const struct runtime_port *ports;
    size_t ports_len;
    uint64_t memory_bytes, cpu_milli;
    unsigned pids;
    const char *const *gpus; /* ids of `runtime_gpu`, once for each unit; those of one kind alone */
    size_t gpus_len;
    bool network; /* the internet; of what is private, only what follows: «10.1.2.0/24» */
    const char *const *network_allow;
    size_t network_allow_len;
    unsigned stop_seconds;
    const struct prepared *prepared; /* the runtime's own, from `prepare` for `ensure`; in the same arena */
    /* Said by `prepare`, in the arena: */
    const char *progress;   /* where it is not done yet: how far it is */
    const char *kept_apart; /* what it did with the files of a former owner of that name; NULL: there were none */
};

/* Of what it has to write in there; 0: there is none. */
uint64_t runtime_scratch_bytes(const struct runtime_spec *s, const char *target);

/* Where a port is reached: «unix:/path», «http://10.0.0.7:8888». */
struct endpoint {
    char *name, *address;
};
void runtime_free_endpoints(struct endpoint *list, size_t n);

/* The first process of an instance that runs on this machine. */
struct runtime_process {
    pid_t pid; /* tells it from another; 0: nothing is known of it, nor is there a descriptor */
    int fd;    /* readable once it has ended; -1: it is over, or not surely this one */
    bool own;  /* surely of this instance and of nothing else: what outlives it may be killed */
};

enum instance_state { INSTANCE_CREATED, INSTANCE_RUNNING, INSTANCE_ENDED };

/* One instance as the runtime has it. */
struct instance {
    enum instance_state state;
    char *id, *device, *device_uid, *owner;
    char *image;       /* id of the image that it was made from; NULL: not known. From inspect alone */
    uint64_t revision; /* of the store, at which the device was when it was made; 0: not known */
    int exit_code;
    bool out_of_memory;
    int64_t started_us; /* 0: never */
    /* What follows only from inspect and ensure: */
    char *token;                /* as its variables say */
    struct endpoint *endpoints; /* none: not known yet */
    size_t endpoints_len;
    const char *cut_off; /* why it will never be reached again, though it runs; NULL: it is or will be. Static */
    struct runtime_process process;
    bool paused;
    bool unsupervised; /* the runtime's process that watches over it is gone */
    char *said;        /* what the runtime says went wrong; NULL: nothing */
    char *gpus;        /* ids of those that it was made with, once for each unit, joined by commas; NULL: none.
                          Follows from list too */
};
void instance_clear(struct instance *i);
/* One more, a unix socket of this machine's. */
void instance_add_endpoint(struct instance *i, const char *name, const char *socket);
#define _cleanup_instance_ _cleanup_(instance_clear)
void runtime_free_instances(struct instance *list, size_t n);

/* What can be had here, and why not where it cannot. */
struct runtime_facts {
    bool user_namespace;            /* root inside is nobody outside */
    const char *user_namespace_why; /* where false; static strings */
    bool limits;                    /* memory, CPU and processes are enforced */
    const char *limits_why;
    bool network; /* with rules for what it may reach */
    const char *network_why;
    bool tcp; /* what listens on TCP alone can be reached */
    const char *tcp_why;
    bool owner_ids; /* owners are told apart by `owner_id`: no two may have the same */
};

/* An image that is here. */
#define IMAGE_ID_MAX 136
struct runtime_image {
    char id[IMAGE_ID_MAX]; /* «sha256:…»: of what is in it, whatever it is called */
    uint64_t bytes;
};

/* A name that an image here has. */
struct runtime_named_image {
    char *name; /* NULL: it has none */
    struct runtime_image image;
    bool used; /* by something that was made from it, whosever that is */
};
void runtime_free_named_images(struct runtime_named_image *list, size_t n);

struct runtime_pull {
    const char *image;
    const char *username, *password; /* for its registry; NULL: none */
};

/* How far one is. Totals grow as it becomes known what there is. */
struct runtime_progress {
    unsigned layers, layers_done;
    uint64_t bytes, bytes_total;
};

/* A program that runs in an instance for a while, beside what it was made for: as its user, within its limits, with its
 * variables. */
struct runtime_program {
    const char *const *arguments; /* the first names it */
    size_t arguments_len;
    unsigned silence_s; /* so long without a word on its standard output, and nobody waits for it any more … */
    unsigned seconds;   /* … nor after so long, whatever it says; 0: as long as it lasts */
    int stop_fd;
};

struct runtime_usage {
    uint64_t memory_bytes, memory_limit, cpu_ns;
    unsigned pids;
};

/* What its processes have used since it was started, all together; and how much they use now. */
struct runtime_work {
    uint64_t cpu_us, io_bytes;
    uint64_t io_wait_us;   /* in which one of them, at least, waited for a disk; 0 too where that is not known */
    uint64_t memory_bytes; /* without what the kernel may drop */
    unsigned tasks;        /* processes and threads */
};

/* What one that runs lacked since its start, and lacks now. */
struct runtime_shortage {
    uint64_t memory_kills;      /* processes that were ended for memory */
    uint64_t memory_bytes;      /* in use now */
    uint64_t refused_processes; /* that could not be started, as there were as many as there may be */
    const char *full;           /* target of what it has to write in, without room; NULL: none. Static */
};

/* Whose files are looked at. */
struct runtime_owner {
    const char *name;
    uint32_t id;    /* as in the spec */
    uint64_t quota; /* bytes; 0: none */
};

/* What they take. */
struct runtime_storage {
    uint64_t bytes, files;
    bool enforced; /* more than the quota cannot be written */
    bool partial;  /* there is more, which was not looked at */
};

/* A GPU that can be given to instances, or a part of one. */
struct runtime_gpu {
    const char *id, *resource; /* «GPU-…», «MIG-…»; «nvidia.com/gpu» */
    const char *model, *driver;
    uint64_t memory_bytes, memory_used;
    int utilization;              /* percent, averaged; -1: not known */
    unsigned units;               /* so many instances may share it */
    const char *reason, *message; /* why nobody gets it, in one word and for people; NULL: it is well */
};

/* What an instance makes of one that it has. */
struct runtime_gpu_use {
    const char *id;
    uint64_t memory_bytes;
    unsigned processes;
};

/* The machine, or what stands for it. */
struct runtime_about {
    const char *engine;       /* «podman 4.3.1»; NULL: not there now */
    bool gpus_known;          /* they were looked for */
    const char *gpus_message; /* why GPUs cannot be asked; NULL: they can, or there are none */
};

struct runtime_listener {
    /* Something happened to that device's instance. */
    void (*changed)(void *arg, const char *device);
    /* The runtime went away (with the reason), or is (again) there: then anything may have changed meanwhile. */
    void (*available)(void *arg, bool up, const char *message);
    /* What GPUs there are, how they are or how they are used is different now. */
    void (*gpus_changed)(void *arg);
    void *arg;
};

#define RUNTIME_LOG_ALL ((unsigned)-1)
struct runtime_log_options {
    bool follow;
    unsigned tail; /* lines; RUNTIME_LOG_ALL: all that is kept */
    int stop_fd;   /* ends it; -1: none */
};

/*
 * «Pods:» says how a cluster would do it; nothing above this file would change.
 */
struct runtime;
struct time_slicing;
struct runtime_ops {
    const char *name;
    /* Begins to watch; the listener is called from a thread of the runtime's until `free`.
     * Pods: an informer of those with the installation's label; changed = any event, available = it is synced. */
    void (*start)(struct runtime *r, const struct runtime_listener *l);
    /* Pods: from the namespace's rights and the policies that are there; asked once for each connection. */
    int (*facts)(struct runtime *r, struct runtime_facts *out, struct error **err);
    /* Why nothing is started now, for want of room where files are kept, as a sentence to be freed; NULL: there is room.
     * Pods: NULL (a claim has its own size), or what a quota says. */
    char *(*no_room)(struct runtime *r);
    /* 1: there, 0: not. Pods: 1; the kubelet pulls, and a pull that fails is `said`. */
    int (*image_find)(struct runtime *r, const char *image, struct runtime_image *out, struct error **err);
    /* Fetches it from its registry, whether one of that name is here or not; what is here of it is not fetched again.
     * Blocks as long as that lasts, but not longer than somebody says something. `progress` is called now and then, from
     * the calling thread; negative ends it. An error has the registry's own words. Pods: nothing to do. */
    int (*image_pull)(struct runtime *r, const struct runtime_pull *pull,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err);
    /* All that are here, whosever they are; one for each name. The caller frees with runtime_free_named_images. Pods: those
     * that the nodes report. */
    int (*image_list)(struct runtime *r, struct runtime_named_image **out, size_t *n, struct error **err);
    /* Takes a name away, and the image where that was the last; by its id where it has none. Not what is used: Conflict.
     * Pods: nothing to do, the kubelet does. */
    int (*image_remove)(struct runtime *r, const char *image, struct error **err);
    /* From an archive, as `docker save` or `podman save` write it, compressed too. `progress` as above, of the file's
     * bytes; `loaded` is called with each name that came of it. Pods: not here. */
    int (*image_load)(struct runtime *r, int file, int (*progress)(void *arg, const struct runtime_progress *p),
                      void (*loaded)(void *arg, const char *name), void *arg, struct error **err);
    /* Into such an archive. Pods: not here. */
    int (*image_save)(struct runtime *r, const char *image, int file,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err);
    /* How people find it with the runtime's own tools. The caller frees. Pods: the pod's name. */
    char *(*name_of)(struct runtime *r, const char *id);
    /* Makes what must be there before it starts: the owner's home where there is none, what is shared, where it
     * listens. What an earlier instance left of that is taken over or replaced. `reason` is for the status, static.
     * 0: done. 1: not yet, something that takes long is under way (`reason`, spec->progress): to be asked again.
     * Pods: the PersistentVolumeClaim of the home, a Secret with the token. */
    int (*prepare)(struct runtime *r, struct arena *a, struct runtime_spec *spec, const char **reason,
                   struct error **err);
    /* Makes it, where there is none of that id, and starts it, where it does not run. `out` is what is known of it
     * without asking again. Pods: creates the pod; its address comes with a later event. */
    int (*ensure)(struct runtime *r, const struct runtime_spec *spec, struct instance *out, struct error **err);
    /* Pods: from the informer's copy; endpoints = http://POD-IP:PORT once the pod has one. */
    int (*inspect)(struct runtime *r, const char *id, struct instance *out, struct error **err);
    /* Ends what runs; what was prepared stays, for a start that follows. 0 too where there was none, or one of the name
     * that is not ours. When it returns 0 nothing runs any more. Pods: deletes the pod, waits until it is gone. */
    int (*end)(struct runtime *r, const char *id, unsigned grace_seconds, struct error **err);
    /* Ends it and takes away all that was made for it. Homes stay, always. Pods: the Secret besides, never the claim. */
    int (*remove)(struct runtime *r, const char *id, unsigned grace_seconds, struct error **err);
    /* All instances of this installation. The caller frees with runtime_free_instances. Pods: the informer's copy. */
    int (*list)(struct runtime *r, struct instance **out, size_t *n, struct error **err);
    /* Takes away what was made for instances that are not there any more. What there is is found out first; then `wanted`
     * names the ids whose things stay, as keys. The first failure is told; it goes on with the others.
     * Pods: Secrets with the installation's label and no pod. */
    int (*sweep)(struct runtime *r, void (*wanted)(void *arg, struct map *ids), void *arg, struct error **err);
    /* Plain text, as it comes. Returns when all is said (follow: when it ended or was stopped). A negative `write` ends
     * it. Pods: GET …/pods/NAME/log. */
    int (*logs)(struct runtime *r, const char *id, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err);
    /* Runs it to its end; what it says on its standard output goes into `out`, which may hold no more than its maximum:
     * RequestTooLarge. Invalid: there is no such program. What does not end is left to end with the instance.
     * Pods: POST …/pods/NAME/exec. */
    int (*run_inside)(struct runtime *r, const char *id, const struct runtime_program *p, struct buffer *out,
                      struct error **err);
    /* Pods: metrics.k8s.io. */
    int (*usage)(struct runtime *r, const char *id, struct runtime_usage *out, struct error **err);
    /* Asked of all that run, again and again: it must cost next to nothing. `pid`: of its first process. May be NULL:
     * nothing is known. Pods: metrics.k8s.io. */
    int (*work)(struct runtime *r, const char *id, pid_t pid, struct runtime_work *out, struct error **err);
    /* Costs next to nothing; `changed` is called when there is news. False: nothing is known yet. May be NULL.
     * Pods: lastState.terminated of its containers, and cAdvisor's metrics. */
    bool (*shortage)(struct runtime *r, const char *id, struct runtime_shortage *out);
    /* What an owner's files take, those of all sandboxes together; where the quota is enforced, it is this one from now
     * on. May take long: `step` is called before each file, and ends it by being negative from then on. NULL: nobody
     * knows. Pods: the kubelet's figures of the claim. */
    int (*storage)(struct runtime *r, const struct runtime_owner *o, int (*step)(void *arg), void *arg,
                   struct runtime_storage *out, struct error **err);
    /* The next three may be NULL: there are none, and nothing is known. Everything lives in the arena.
     * Pods: the nodes' allocatable resources. */
    void (*gpus)(struct runtime *r, struct arena *a, struct runtime_gpu **out, size_t *n);
    /* How many share a GPU from now on, instead of what the configuration says; NULL: as that says. Takes it. May be NULL
     * as `gpus` may. */
    void (*share_gpus)(struct runtime *r, struct time_slicing *slicing);
    /* Of GPUs of which it is known who uses them; 0 processes: others do. Pods: dcgm-exporter's metrics. */
    void (*gpu_use)(struct runtime *r, struct arena *a, const char *id, struct runtime_gpu_use **out, size_t *n);
    void (*about)(struct runtime *r, struct arena *a, struct runtime_about *out);
    void (*free)(struct runtime *r);
};

struct runtime {
    const struct runtime_ops *ops;
};

/* What is known of that GPU, in the arena; NULL: it is none of this runtime's. */
const struct runtime_gpu *runtime_find_gpu(struct runtime *r, struct arena *a, const char *id);
