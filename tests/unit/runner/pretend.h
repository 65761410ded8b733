#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "runner/runtime/runtime.h"
#include "unit/client/answerer.h"

/* A runtime that only pretends to run, as far as can be from an engine: no folder, no process, an address on a port that
 * is known only later, as a pod's is. It holds one instance. */
struct pretend {
    struct runtime base;
    struct runtime_listener listener;
    pthread_mutex_t lock;
    bool there, reachable;
    bool unready; /* what it prepares takes long; and there were files of somebody else's */
    char *id, *device, *device_uid, *owner, *token, *home;
    unsigned prepared, removed, looked;
    uint64_t home_quota;            /* as it was asked for at the last start */
    struct runtime_storage storage; /* what the homes take */
    struct runtime_owner looked_for;
    char address[64];
    struct answerer answerer;
};

void pretend_init(struct pretend *p);
void pretend_end(struct pretend *p);
/* It gets its address, and answers there; before, or again. */
void pretend_reach(struct pretend *p);
