#pragma once

#include <sys/types.h>

#include "runner/gpu/inventory.h"

/* Who holds how much of a GPU's memory: processes, by the container in whose control group they are. */
#define CONTAINER_ID 64 /* hexadecimal digits, with Podman and Docker */
struct gpu_use {
    char container[CONTAINER_ID + 1];
    char *gpu;
    uint64_t memory_bytes;
    unsigned processes;
};
struct gpu_uses {
    struct gpu_use *list;
    size_t n;
};
void gpu_uses_clear(struct gpu_uses *u);
/* Adds up what the driver says of all that are well. */
void gpu_uses_look(struct gpu_uses *u, const struct nvml *n, const char *proc, const struct gpu_list *l);
/* The id of a container in the text of /proc/PID/cgroup: «…/libpod-ID», «…/docker-ID.scope», «…/docker/ID»; of nested
 * ones the innermost, as ours make no groups of their own, and all of this may run in a container itself. False: it is
 * in none. */
bool container_of_cgroup(const char *text, char out[CONTAINER_ID + 1]);
