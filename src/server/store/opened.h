#pragma once

#include <pthread.h>

#include "server/store/backend.h"
#include "server/store/cache.h"
#include "server/store/health.h"
#include "server/store/notify.h"
#include "server/store/room.h"
#include "server/store/store.h"

/* What waits for the writer. */
struct store_request {
    struct store_request *next;
    store_fn *fn;
    void *arg;
    void (*done)(void *arg, struct error *err);
    struct error *error;
};

/* The store while it is open: what its files share. */
struct store {
    size_t log_max_events, log_max_bytes;
    unsigned log_max_age_seconds, trim_milliseconds;
    int lock_fd;
    struct backend *backend;
    struct cache cache;
    struct notifier *notifier;
    struct room room;
    struct store_state state;
    /* The writer's: */
    uint64_t disk_log_start;  /* events up to here are gone from the disk too */
    uint64_t compacted_bytes; /* of log.dropped_bytes, when that was done last */
    int64_t compact_after_us; /* not before that, as it failed */
    int64_t pushed_out_s;     /* time of the last event that went for its bytes alone, 0: none */
    int64_t pushed_said_us;   /* when that was said */
    bool more_to_do;          /* on the disk, as soon as nobody waits */

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_filled;
    struct store_request *queue, **queue_end;
    bool ending;
    pthread_t writer;
};
