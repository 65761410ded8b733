#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"

/* A Host (a machine, and what it has) as a plain structure. Strings point into the JSON document or are NULL; the list
 * is in the arena. */
#define HOST_GPUS_MAX 64
#define HOST_GPU_UNITS_MAX 256

struct host_gpu {
    const char *id, *resource; /* "GPU-4c04b43e-…", "nvidia.com/gpu" */
    unsigned units;            /* environments that may use it at a time: 1 to HOST_GPU_UNITS_MAX */
    bool healthy;              /* says its runner */
    bool offered;              /* … and no administrator has taken it, or the machine, out */
};
struct host {
    const char *name;
    struct host_gpu *gpus;
    size_t gpus_len;
};
/* Left out are GPUs without id or resource, and what is more than HOST_GPUS_MAX. */
void host_read(yyjson_val *object, struct arena *a, struct host *out);
