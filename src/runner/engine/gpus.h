#pragma once

#include "runner/engine/calls.h"
#include "runner/gpu/parts.h"

/*
 * Which of this machine's GPUs a container gets, and how the engine is told: by names of CDI devices, an
 * administrator's or our own, where it knows such names and reads our file; else by the same nodes and files one by one.
 */
struct container_gpus {
    const char **names; /* of CDI devices */
    size_t names_len;
    const char **nodes; /* paths, the same inside */
    size_t nodes_len;
    const struct gpu_file *files; /* read-only */
    size_t files_len;
    const char *libraries; /* folder inside where the loader finds the driver's; NULL: the CDI file sees to it */
};

int engine_gpus_prepare(struct engine *e, struct arena *a, const struct runtime_spec *s, struct container_gpus *out,
                        const char **reason, struct error **err) _must_check_;

/* The operations of runtime.h. */
void engine_gpus(struct runtime *r, struct arena *a, struct runtime_gpu **out, size_t *n);
void engine_share_gpus(struct runtime *r, struct time_slicing *slicing);
void engine_gpu_use(struct runtime *r, struct arena *a, const char *instance, struct runtime_gpu_use **out, size_t *n);

/* A container with GPUs was seen, or ended (NULL). */
void engine_gpus_held(struct engine *e, const char *instance, const char *container);
void engine_gpus_start(struct engine *e);
