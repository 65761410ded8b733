#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "runner/gpu/gpu.h"

/*
 * What a container needs to use GPUs of NVIDIA's: their device nodes and two that all share, the driver's libraries of
 * the kernel module's version, and where the loader finds these. No hook, no privilege, no folder of the host.
 */
#define GPU_LIBRARIES "/opt/nvidia" /* inside; the value of LD_LIBRARY_PATH */

struct gpu_file {
    const char *source, *target;
};
struct gpu_parts {
    const char **nodes; /* below /dev: «nvidia0», «nvidia-caps/nvidia-cap12» */
    size_t nodes_len;
    struct gpu_file *files; /* to be mounted read-only */
    size_t files_len;
};

/* What that one alone needs. */
void gpu_parts_own(struct arena *a, const struct gpu *g, struct gpu_parts *out);
/* What all need, once. */
void gpu_parts_shared(struct arena *a, const struct gpu_list *l, struct gpu_parts *out);
/* Whether the nodes are there, below `dev`. In a container they are at the same path: in a user namespace a node cannot be
 * made, and runc mounts that of its path. */
int gpu_parts_check(const struct gpu_parts *p, const char *dev, struct error **err) _must_check_;
