#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "kinds/names.h"

#define DEVICE_FINALIZER "open-hydra-server.openhydra.io/environment"
#define USER_FINALIZER "open-hydra-server.openhydra.io/devices"

enum phase {
    PHASE_QUEUED,
    PHASE_PREPARING,
    PHASE_STARTING,
    PHASE_RUNNING,
    PHASE_STOPPING,
    PHASE_FAILED,
    PHASE_STOPPED
};
const char *phase_name(enum phase p);  /* "Queued" … */
enum phase phase_parse(const char *s); /* unknown or NULL: PHASE_QUEUED */

/* One of its addresses: a port of the range, and the endpoint to which it leads; NULL: the first. */
#define DEVICE_PORTS_MAX 16
struct device_port {
    uint16_t port;
    const char *endpoint;
};

/* A Device as a plain structure. Strings point into the JSON document or are NULL. */
struct device {
    const char *name, *uid, *owner, *sandbox;
    const char *cpu, *ram;  /* spec.deviceCpu (milli-cores), spec.deviceRam (MiB) as sent */
    unsigned gpu;           /* spec.deviceGpu */
    const char *gpu_driver; /* spec.gpuDriver; NULL: no GPU */
    const char *language;   /* spec.language («zh-CN») */
    yyjson_val *gpus;       /* status.gpus: array of {id, resource, host}, one for each unit; or NULL */
    bool waits;             /* status.queue is there: it has not all that it needs, whatever else it has */
    bool safe_mode;         /* spec.safeMode */
    bool deleting;          /* metadata.deletionTimestamp is set */
    bool has_finalizer;     /* ours */
    bool held_by_others;    /* by finalizers of theirs */
    int64_t generation;
    enum phase phase;
    const char *reason, *message;
    uint16_t port;     /* status.port; 0: none could be given */
    yyjson_val *ports; /* status.ports: array of {name, port} in the order of status.urls, or NULL: there is that one */
    uint32_t host_id;  /* status.hostId: first of the owner's range; 0: none */
    const char *url;   /* status.urls[0] */
    const char *idle_stop, *keep_until; /* spec.idleStop, spec.keepUntil as sent; NULL: not said */
    const char *last_activity;          /* status.lastActivity; NULL: nothing is known */
    uint32_t former_host_id;            /* status.formerHostId: of somebody who had that name before; 0: none */
    const char *owner_uid;              /* status.ownerUid; NULL: of before there was one */
    int64_t home_quota;                 /* status.homeQuotaBytes; 0: none; -1: as for everybody */
};
void device_read(yyjson_val *object, struct device *out);
/* The condition of that type in its status; NULL: none. */
yyjson_val *device_condition(yyjson_val *object, const char *type);
/* All ports that it has, the first of which is status.port; returns how many. */
size_t device_ports(const struct device *d, struct device_port out[static DEVICE_PORTS_MAX]);
