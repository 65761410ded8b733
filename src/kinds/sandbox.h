#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/* A Sandbox (catalogue entry) as a plain structure. Strings point into the JSON document or are NULL. */
enum pull_policy { PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_NEVER };
struct sandbox_amount {
    uint64_t otherwise, most; /* where a device says nothing, and the most that it may say; 0: nothing is said */
};
/* A TCP port on which the image listens. The names are the original's where none is given: «port-0» … */
#define SANDBOX_PORTS_MAX 15
#define SANDBOX_PORT_NAME_MAX 15 /* as Kubernetes' */
struct sandbox_port {
    char name[SANDBOX_PORT_NAME_MAX + 1];
    uint16_t port;
};
struct sandbox {
    const char *name, *uid;
    int64_t generation;
    const char *image;                   /* spec.cpuImageName */
    yyjson_val *gpu_images;              /* spec.gpuImageSet: image by resource, or NULL */
    enum pull_policy pull_policy;        /* spec.imagePullPolicy */
    bool pull_secret;                    /* spec.imagePullSecret is there */
    yyjson_val *command, *args;          /* arrays of strings, or NULL */
    yyjson_val *volumes, *volume_mounts; /* arrays, or NULL */
    yyjson_val *env;                     /* array of {name, value}, or NULL */
    const char *socket;         /* spec.socket: its path inside ("/run/open-hydra/environment.sock"); NULL: TCP alone */
    yyjson_val *ports;          /* spec.ports: array of 8888 or {name, port}, or NULL */
    const char *home;           /* spec.home: where the user's files are mounted ("/home/student") */
    const char *readiness_path; /* spec.readinessPath ("/api") */
    bool hidden;                /* spec.hidden: users are not offered it */
    const char *deprecated;     /* spec.deprecated: what to use instead */
    struct sandbox_amount cpu, memory; /* spec.resources; thousandths of a core, MiB */
    const char *shm, *tmp; /* spec.shmSize, spec.tmpSize: «1Gi», «50%» of the memory; NULL: as the configuration says */
    unsigned processes;         /* spec.processes; 0: as the configuration says */
    bool network;               /* spec.network: access to the internet */
    yyjson_val *network_allow;  /* spec.networkAllow: array of «10.1.2.0/24», or NULL */
    bool allow_service_workers; /* spec.allowServiceWorkers */
    int64_t run_as_user;        /* spec.runAsUser; 1000 */
    const char *idle_stop;      /* spec.idleStop; NULL: the configuration's */
};
void sandbox_read(yyjson_val *object, struct sandbox *out);
/* Those of spec.ports that sandbox_check() lets pass, in their order; returns how many. */
size_t sandbox_ports(const struct sandbox *s, struct sandbox_port out[static SANDBOX_PORTS_MAX]);
/* What an environment runs with GPUs of that resource; NULL: with none. NULL: there is a set, and nothing for these. */
const char *sandbox_image(const struct sandbox *s, const char *gpu_driver);
/* All by which it is entered, the first of which is the environment's own: its socket («main», port 0), then its ports. */
#define SANDBOX_ENTRANCES_MAX (SANDBOX_PORTS_MAX + 1)
size_t sandbox_entrances(const struct sandbox *s, struct sandbox_port out[static SANDBOX_ENTRANCES_MAX]);

/* All that it names, the one for environments without a GPU first. Returns their number. */
#define SANDBOX_IMAGES_MAX 65
struct sandbox_image {
    const char *resource; /* NULL: for environments without a GPU */
    const char *reference;
};
size_t sandbox_images(const struct sandbox *s, struct sandbox_image list[static SANDBOX_IMAGES_MAX]);

/* Its mounted volumes that are memory of the environment's own. Returns their number. */
#define SANDBOX_SCRATCH_MAX 16
struct sandbox_scratch {
    const char *path;
    uint64_t bytes;
};
size_t sandbox_scratch(const struct sandbox *s, struct sandbox_scratch list[static SANDBOX_SCRATCH_MAX]);
/* The volume of that name; NULL: there is none. */
yyjson_val *sandbox_volume(const struct sandbox *s, const char *name);

/* What a schema cannot say: paths that the engine would refuse again and again, ports in either form, variables that
 * are not a sandbox's to set. Adds a cause for each field. */
int sandbox_check(const struct sandbox *s, struct error **err) _must_check_;
bool path_is_plain(const char *path);                  /* absolute, below /, no ".", "..", empty parts */
bool path_is_in(const char *path, const char *folder); /* or the folder itself */
