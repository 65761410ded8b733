#pragma once

#include <pthread.h>

#include "server/store/backend.h"
#include "server/store/cache.h"
#include "server/store/health.h"
#include "server/store/notify.h"
#include "server/store/room.h"

/* What waits for the writer. */
struct request {
    struct request *next;
    store_fn *fn;
    void *arg;
    void (*done)(void *arg, struct error *err);
    struct error *error;
};

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
    struct request *queue, **queue_end;
    bool ending;
    pthread_t writer;
};

/* --- writer.c --- */
void writer_start(struct store *s);
void writer_stop(struct store *s); /* after what is queued */
/* Drops events that are too many or too old from memory; with the write lock held. */
void store_trim(struct store *s);

/* --- group.c: what one transaction will hold --- */
struct group;
struct group *group_new(struct store *s);
void group_free(struct group *g);
/* Runs the function on top of what is staged; keeps what it stages, unless it fails or abandons it. */
void group_run(struct group *g, struct request *r);
bool group_is_empty(const struct group *g);
size_t group_bytes(const struct group *g); /* of the objects staged so far */
int group_commit(struct group *g, struct error **err) _must_check_;
/* Makes the committed group visible, then calls what was to be called after it. */
void group_publish(struct group *g);
