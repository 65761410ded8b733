#pragma once

#include "client/client.h"
#include "config/config.h"
#include "runner/runtime/runtime.h"

/* The Host object of this machine: made where it is missing, its status written where it says something else than the
 * last time, and that not often. On a thread of its own, as both ask others. */
struct host_status;
struct host_status *host_status_start(const struct config *c, struct client *client, struct runtime *runtime);
/* The client's stop descriptor must be readable. */
void host_status_stop(struct host_status *h);

/* A host's name as a DNS label: «Lab-PC_7.school.edu» is lab-pc-7. The caller frees. */
char *host_label(const char *name);
/* Bytes as a quantity of Kubernetes' in whole Gi, or Mi below ten of these. The caller frees. */
char *quantity_of(uint64_t bytes);
