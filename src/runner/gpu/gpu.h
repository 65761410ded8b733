#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/*
 * The GPUs of this machine: what there is, how it is, and what a container needs to use it. The bottom of its room:
 *   watch      the one thread that asks, and what is known now      nvml    the driver's library
 *   inventory  one look at all of them                              xid     which errors need a reset
 *   use        who holds how much of their memory
 *   parts      nodes, files and variables that a container needs    cdi     files that say so, an administrator's and
 *                                                                           our own
 */
enum gpu_state {
    GPU_WELL,
    GPU_LOST,        /* it is not there any more */
    GPU_NEEDS_RESET, /* the driver says that it will serve nobody before */
    GPU_UNREACHABLE, /* the driver does not answer */
};
const char *gpu_state_reason(enum gpu_state s); /* one word for a status; NULL: well */

/* One that can be given away: a whole GPU, or a part of one (a MIG device). */
struct gpu {
    char *id;    /* «GPU-…», «MIG-…»: NVML's UUID */
    char *whole; /* of which GPU it is a part; the same where it is none */
    char *model;
    unsigned index; /* NVML's, of the whole GPU, and of the part in it */
    unsigned part;
    unsigned minor; /* of /dev/nvidiaN */
    bool is_part;
    unsigned gpu_instance, compute_instance;     /* of a part */
    unsigned gpu_capability, compute_capability; /* /dev/nvidia-caps/nvidia-capN */
    uint64_t memory_bytes, memory_used;
    double busy; /* percent, averaged; negative: not known (of parts the driver does not say it) */
    enum gpu_state state;
    char *why; /* it is not well, for people */
};

/* All of them at one moment; never changed once it is seen by others. */
struct gpu_list {
    _Atomic unsigned refs;
    char *driver;  /* version; NULL: there is none */
    char *library; /* where NVML lies; the driver's other libraries lie beside it */
    char *message; /* why they could not be asked; NULL: they could, or there is no driver */
    struct gpu *gpus;
    size_t n;
};
struct gpu_list *gpu_list_new(void);
struct gpu_list *gpu_list_copy(const struct gpu_list *l);
struct gpu_list *gpu_list_ref(struct gpu_list *l);
void gpu_list_unref(struct gpu_list *l);
static inline void cleanup_gpu_listp(struct gpu_list **l)
{
    gpu_list_unref(*l);
}
#define _cleanup_gpu_list_ _cleanup_(cleanup_gpu_listp)

/* Where the driver is found on this machine; what is NULL is where it is everywhere. */
struct gpu_places {
    const char *proc;
    const char *const *cdi_folders; /* an administrator's; NULL-terminated */
    const char *cdi_own;            /* the folder of ours, which the engine reads */
};
struct gpu_places gpu_places_or_default(const struct gpu_places *p); /* NULL: all */

struct gpu *gpu_list_add(struct gpu_list *l, const struct gpu *g); /* copies the strings */
struct gpu *gpu_list_find(const struct gpu_list *l, const char *id);
void gpu_set_state(struct gpu *g, enum gpu_state state, const char *why);
/* Whether something differs that others should be told: what there is and how it is, not how much of it is used. */
bool gpu_list_same(const struct gpu_list *a, const struct gpu_list *b);
