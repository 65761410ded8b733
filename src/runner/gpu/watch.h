#pragma once

#include "base/arena.h"
#include "runner/gpu/gpu.h"

/*
 * One thread that asks the driver, again and again, and what it has found. NVML may hang with the driver: nobody else
 * calls it, and nobody waits for it. Thread-safe.
 */
struct gpus_options {
    const char *library; /* NVML; NULL: the loader finds it */
    const char *proc;    /* "/proc" */
    int stop_fd;
    /* What there is, or how it is, or how it is used, is different now. From the thread; may be NULL. */
    void (*changed)(void *arg);
    void *arg;
};

struct gpus;
struct gpus *gpus_new(const struct gpus_options *options);
void gpus_start(struct gpus *g);
/* The stop descriptor must be readable. A thread that hangs in the driver is left behind. */
void gpus_free(struct gpus *g);
/* What is known; the caller unrefs. Before the first look it is empty. */
struct gpu_list *gpus_now(struct gpus *g);
/* Whether the first look is over. */
bool gpus_known(struct gpus *g);
/* To be called every second or so: says of a driver that does not answer that it does not. */
void gpus_tick(struct gpus *g, int64_t now_us);

/* What that container makes of the GPU: 0 processes where others use it alone; false: nobody knows who does. */
bool gpus_use(struct gpus *g, const char *container, const char *gpu, uint64_t *memory_bytes, unsigned *processes);

/* One round of the thread's, for tests: waits for at most so long. */
void gpus_round(struct gpus *g, unsigned wait_ms, int64_t now_us);
