#pragma once

#include "server/hooks/stock.h"

/* GPUs as Hosts report them, with who has units of them. */
#define GPUS_MAX 1024
#define GPU_UNITS "gpu" /* name of their resource */

struct gpu {
    const char *id, *resource, *host;
    unsigned units; /* that may be given; 0 where it is taken out */
    unsigned given, chosen;
};
struct gpus {
    struct gpu *first;
    size_t n;
};

/* It is the object of the write under way. */
bool is_current_host(const struct allotment *al, const char *host);
/* The row's: status.gpus of a device, an entry for each unit. */
void gpus_write(struct allotment *al, struct admission *a, const char *const *units, size_t n);
/* The units that are given have changed: into the Hosts, but for the one that is being written (host_given_write). */
void gpus_say_given(struct allotment *al);
/* What the server says in a Host's status: of each GPU given, free and devices, of all gpuCount and gpuUnits. */
void host_given_write(struct allotment *al, yyjson_mut_doc *doc, yyjson_mut_val *object);
