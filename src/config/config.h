#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/quantity.h"
#include "config/listen.h"

/* The addresses of environments as browsers write origins, cut in two at the port (public.h). */
struct public_pattern {
    char *before, *after;
    bool is_named; /* the port is in the host's name */
};

/*
 * Everything that can be set: configuration file, then flags. The original's keys are all read; those without a
 * meaning here are named in a warning (keys.c). One structure, checked once, never changed afterwards.
 */
struct config {
    char *file;    /* NULL: none was there */
    char *data;    /* state directory */
    char *runtime; /* sockets: /run/open-hydra, or $XDG_RUNTIME_DIR/open-hydra without root */
    char *web;     /* the dashboard's files */

    struct listen_address dashboard, environments, api;
    bool insecure; /* plain HTTP on other than loopback addresses, as in the seed's class-room network */
    /* NULL-terminated: by which names and addresses (no ports) browsers and kubectl come here. The first is in every
     * address that we show: from serverIP, else the listening address, else this machine's. */
    char **hosts;
    char *public_address, *environment_public_address; /* by which browsers come instead; NULL: by these (public.h) */
    struct public_pattern public_environments;
    char **trusted_proxies; /* NULL-terminated networks whose word for a client's address is taken; NULL: nobody's */
    char *certificate, *certificate_key; /* for the browser ports; NULL: the own CA's where TLS is needed */
    bool disable_auth;

    /* defaults and limits of an environment */
    uint64_t default_cpu_milli, default_ram_mib;
    unsigned default_gpu;
    bool use_default_gpu;        /* useDefaultGpuConfigWhenZeroIsGiven: who asks for none gets default_gpu */
    unsigned student_gpu_limit;  /* that users who are no administrators may ask for; 0 */
    char *gpu_driver;            /* defaultGpuDriver: "nvidia.com/gpu" */
    char **gpu_resources;        /* gpuResourceKeys; NULL-terminated: "nvidia.com/gpu", "amd.com/gpu" */
    char *gpu_time_slicing_file; /* NULL: every GPU is one unit */
    struct time_slicing *gpu_time_slicing;
    char *default_sandbox;
    unsigned pids_limit;                 /* pidsPerDevice; 0: in proportion to the memory, config_processes() */
    unsigned max_pids;                   /* maxPidsPerDevice: whatever sandbox and memory say */
    struct portion shm, tmp;             /* shmPerDevice, tmpPerDevice: of memory; half of it */
    uint64_t idle_stop_seconds;          /* idleStop: nobody used it for so long, and it is ended; 0: never */
    uint64_t keep_until_max_seconds;     /* how far ahead an owner may put spec.keepUntil */
    uint64_t home_quota;                 /* bytes, of all files of a user; 0: none */
    uint64_t max_home_quota;             /* that a user may have by the server's word; 0: any */
    uint64_t minimum_free_mib;           /* below it no environment starts; of a small disk less, see disk.h */
    uint64_t max_cpu_milli, max_ram_mib; /* 0: what this machine has */
    char **allowed_images;               /* NULL-terminated shell patterns; NULL: any */

    char *workspace_path;                 /* homes: <workspace>/<sandbox>/<user>; DATA/workspace where not set */
    char *jupyter_lab_base, *vscode_base; /* NULL where not set; they win: <base>/<user> */
    char *dataset_path, *course_path;     /* mounted read-only; DATA/public-dataset, DATA/public-course where not set */
    char *dataset_mount, *course_mount;
    char *home_skeleton; /* whose files a new home begins with; NULL: none */

    char *time_zone;      /* timeZone («Asia/Shanghai»), this machine's where not set; NULL: UTC */
    char *language;       /* language («zh-CN»), likewise, of whoever has not chosen one; NULL: the image's */
    char *pip_index;      /* pipIndex: address of the school's own package index; NULL: PyPI */
    char *pip_find_links; /* pipFindLinks: folder of wheels, mounted read-only; NULL: none */
    uint64_t dataset_max_bytes, course_max_bytes; /* of what is uploaded, or fetched */
    char **content_sources; /* NULL-terminated: folders and https://…, below which is what may be fetched; NULL: none */
    char *content_authority; /* file with the authorities that are believed there; NULL: the system's */

    char *engine_socket;                 /* NULL: looked for */
    char *gpu_library;                   /* NVML (libnvidia-ml.so.1); NULL: the loader finds it */
    uint32_t host_id_base, host_id_size; /* per user; 1879048192, 65536 */
    uint32_t host_id_count;              /* ranges; 8192 */
    bool allow_root_images;              /* where no user namespace can be had */
    char **environment_networks; /* NULL-terminated, «10.42.0.0/16»: environments may be reached there; NULL: none */
    uint32_t server_id, gateway_id;     /* numeric service users (when started as root) */
    unsigned session_seconds;           /* life of a login that nobody uses; 12 h */
    unsigned session_max_seconds;       /* … and of one in use; 7 days */
    unsigned certificate_check_seconds; /* how often certificates are looked at; 1 h */
};

/* The most that one environment gets, whatever the server says. */
uint64_t config_max_cpu_milli(const struct config *c);
uint64_t config_max_ram_mib(const struct config *c);
unsigned config_max_processes(const struct config *c);
/* Those of an environment with so much memory, whose sandbox says nothing. */
unsigned config_processes(const struct config *c, uint64_t ram_mib);
/* How many environments may use a GPU of that resource and model (as its driver names it) at a time: 1 to 256. */
unsigned config_gpu_units(const struct config *c, const char *resource, const char *model);
bool config_image_allowed(const struct config *c, const char *image);

/* What the command line said; NULL or false: not given. */
struct config_flags {
    const char *file, *data, *web, *runtime, *dashboard_listen, *environment_listen, *api_listen, *engine_socket;
    bool insecure;
};

/* Reads and checks. Warnings (unknown or meaningless keys, with file and line) go to the log. On error: file, line and
 * key. */
struct config *config_load(const struct config_flags *flags, struct error **err) _must_check_;
void config_free(struct config *c);

/* Whether a request's Host («name:port», «[::1]:port») is one of `hosts` with that port: anything else is another name
 * that somebody's DNS points here (DNS rebinding). */
bool config_host_allowed(const struct config *c, const char *host_header, uint16_t port);
/* TLS on our ports for browsers: any address but loopback, unless `insecure`. */
bool config_browser_tls(const struct config *c);
/* "http://127.0.0.1:31001" for a port of the environments' range; "http://127.0.0.1:30001" for the dashboard's. The
 * caller frees. */
char *config_environment_url(const struct config *c, uint16_t port);
char *config_dashboard_url(const struct config *c);
char *config_api_url(const struct config *c); /* always TLS */
/* The same as browsers write origins, without the scheme's own port. The caller frees. */
char *config_environment_origin(const struct config *c, uint16_t port);
char *config_dashboard_origin(const struct config *c);
bool config_is_proxied(const struct config *c); /* somebody's word for a client's address is taken */
