#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/store/group.h"
#include "server/store/opened.h"
#include "server/store/trim.h"
#include "server/store/writer.h"

/*
 * The one thread that writes. It takes what is queued, up to a limit, as one group: one transaction and one fsync for
 * all of them. While that runs, the next group gathers: the more callers there are, the larger the groups become.
 */
#define GROUP_MAX 256
/* Large objects make smaller groups: what a transaction holds is in memory, and then in the WAL, all at once. */
#define GROUP_BYTES ((size_t)8 << 20)
/* Rows that one compaction removes at most: between two groups it must not be felt. */
#define COMPACT_MAX 4096
/* What memory dropped and the disk still has, before callers wait for its removal. */
#define COMPACT_BYTES ((uint64_t)8 << 20)
/* How long nobody has written before the disk is tidied, a piece at a time. */
#define QUIET_US 50000
/* An event that went before has left slow watchers behind; said once in … */
#define PUSHED_OUT_SECONDS 60
#define SAY_AGAIN_US 60000000
/* Until a database that could not be written to is tried again. */
#define PROBE_US 1000000
/* After a compaction that failed, most likely as the disk is full. */
#define COMPACT_PAUSE_US 60000000

static int64_t patience_us(const struct store *s)
{
    if (s->more_to_do)
        return QUIET_US;
    return state_failing(&s->state) ? PROBE_US : (int64_t)s->trim_milliseconds * 1000;
}

static struct store_request *take(struct store *s)
{
    int64_t until = clock_monotonic_us() + patience_us(s);

    LOCK_SCOPE(&s->queue_lock);
    while (s->queue == NULL && !s->ending)
        if (cond_wait_until(&s->queue_filled, &s->queue_lock, until) == ETIMEDOUT)
            break;
    struct store_request *first = s->queue, *r = first;
    for (int n = 1; r && n < GROUP_MAX && r->next; n++)
        r = r->next;
    if (r) {
        s->queue = r->next;
        r->next = NULL;
        if (s->queue == NULL)
            s->queue_end = &s->queue;
    }
    return first;
}

static struct error *copy_error(const struct error *e)
{
    struct error *copy = NULL;
    error_set(&copy, e->reason, "%s", e->message);
    return copy;
}

/* Nothing of the group was kept, so that whatever its functions saw of each other is void. */
static void fail_all(struct store_request *first, const struct error *why)
{
    for (struct store_request *r = first; r; r = r->next) {
        error_free(r->error);
        r->error = copy_error(why);
    }
}

/* Stages from the front of the list what one transaction may hold; returns the rest. */
static struct store_request *stage(struct group *g, struct store_request *first)
{
    struct store_request *r = first, *rest;

    group_run(g, r);
    for (; r->next && group_bytes(g) < GROUP_BYTES; r = r->next)
        group_run(g, r->next);
    rest = r->next;
    r->next = NULL;
    return rest;
}

static void tell(struct store_request *first)
{
    while (first) {
        struct store_request *r = first;
        first = r->next;
        r->done(r->arg, r->error);
        free(r);
    }
}

static struct store_request *run_group(struct store *s, struct store_request *first)
{
    struct group *g = group_new(s);
    _cleanup_error_ struct error *err = NULL;

    state_busy(&s->state, clock_monotonic_us());
    struct store_request *rest = stage(g, first);
    bool kept = group_is_empty(g) || group_commit(g, &err) == 0;
    if (!group_is_empty(g))
        state_committed(&s->state, err, clock_monotonic_us());
    if (kept)
        group_publish(g);
    else
        fail_all(first, err);
    group_free(g);
    tell(first);
    return rest;
}

static void trim_idle(struct store *s)
{
    pthread_rwlock_wrlock(&s->cache.lock);
    store_trim(s);
    pthread_rwlock_unlock(&s->cache.lock);
}

/* Few large objects that change again and again take the log from everybody: their watches list again, and again. */
static void say_pushed_out(struct store *s)
{
    int64_t now = clock_monotonic_us(), age = clock_realtime_us() / 1000000 - s->pushed_out_s;

    if (s->pushed_out_s && age < PUSHED_OUT_SECONDS && now >= s->pushed_said_us) {
        const struct object *last = log_last(&s->cache.log);
        log_warning("large objects push events out of the log after %lld s: slow watches have to list again (last "
                    "written: %s, %zu bytes)",
                    (long long)age, last ? last->name : "larger than the log", last ? last->json.n : 0);
        s->pushed_said_us = now + SAY_AGAIN_US;
    }
    s->pushed_out_s = 0;
}

static bool must_compact(const struct store *s, uint64_t behind, bool idle)
{
    if (behind == 0 || clock_monotonic_us() < s->compact_after_us)
        return false;
    return idle || behind >= COMPACT_MAX / 4 || s->cache.log.dropped_bytes - s->compacted_bytes >= COMPACT_BYTES;
}

/* What memory dropped goes from the disk too, many at once. */
static void compact(struct store *s, bool idle)
{
    uint64_t behind = s->cache.log.start - s->disk_log_start;
    _cleanup_error_ struct error *err = NULL;

    if (!must_compact(s, behind, idle))
        return;
    uint64_t up_to = s->disk_log_start + (behind < COMPACT_MAX ? behind : COMPACT_MAX);
    if (s->backend->ops->compact(s->backend, up_to, &s->disk_log_start, &err) < 0) {
        log_warning("old events stay for now: %s", err->message);
        s->compact_after_us = clock_monotonic_us() + COMPACT_PAUSE_US;
        return;
    }
    s->compacted_bytes = s->cache.log.dropped_bytes;
    s->more_to_do = true;
}

/* After a commit that failed, so that who asks is told when it is over. */
static void probe(struct store *s)
{
    _cleanup_error_ struct error *err = NULL;

    (void)s->backend->ops->probe(s->backend, s->cache.revision, &err);
    state_committed(&s->state, err, clock_monotonic_us());
}

/* What is kept of the disk for later. */
static void keep_room(struct store *s)
{
    _cleanup_error_ struct error *err = NULL;

    if (s->room.reserve == 0)
        return;
    room_keep(&s->room);
    if (!room_is_low(room_look(&s->room)) && s->backend->ops->spare(s->backend, &err) < 0)
        log_warning("no room is kept in the database: %s", err->message);
}

/* While nobody writes: what is behind, then the file itself. */
static void tidy(struct store *s)
{
    _cleanup_error_ struct error *err = NULL;

    if (s->cache.log.start != s->disk_log_start && clock_monotonic_us() >= s->compact_after_us)
        return;
    int rc = s->backend->ops->shrink(s->backend, &err);
    if (rc < 0)
        log_warning("the database stays as large as it is: %s", err->message);
    s->more_to_do = rc > 0;
}

static void look_after(struct store *s)
{
    if (state_failing(&s->state))
        probe(s);
    if (s->more_to_do)
        tidy(s);
    if (!s->more_to_do)
        keep_room(s);
}

static void *run(void *arg)
{
    struct store *s = arg;

    for (;;) {
        struct store_request *first = take(s);
        bool idle = first == NULL;
        while (first)
            first = run_group(s, first);
        state_busy(&s->state, clock_monotonic_us());
        if (idle)
            trim_idle(s);
        say_pushed_out(s);
        compact(s, idle);
        if (idle)
            look_after(s);
        state_idle(&s->state);
        if (!idle)
            continue;
        LOCK_SCOPE(&s->queue_lock);
        if (s->ending && s->queue == NULL)
            return NULL;
    }
}

void writer_start(struct store *s)
{
    s->writer = thread_start("store-writer", run, s);
}

void writer_stop(struct store *s)
{
    pthread_mutex_lock(&s->queue_lock);
    s->ending = true;
    pthread_cond_signal(&s->queue_filled);
    pthread_mutex_unlock(&s->queue_lock);
    pthread_join(s->writer, NULL);
}

void store_submit(struct store *s, store_fn *fn, void *arg, void (*done)(void *arg, struct error *err))
{
    struct store_request *r = xcalloc(1, sizeof(*r));

    *r = (struct store_request){.fn = fn, .arg = arg, .done = done};
    LOCK_SCOPE(&s->queue_lock);
    bool was_empty = s->queue == NULL;
    *s->queue_end = r;
    s->queue_end = &r->next;
    if (was_empty)
        pthread_cond_signal(&s->queue_filled);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    struct error *error;
};

static void wake_waiter(void *arg, struct error *err)
{
    struct waiter *w = arg;
    LOCK_SCOPE(&w->lock);
    w->error = err;
    w->is_done = true;
    pthread_cond_signal(&w->done);
}

struct call {
    store_fn *fn;
    void *arg;
    struct waiter waiter;
};

static int run_call(struct store_txn *t, void *arg, struct error **err)
{
    struct call *c = arg;
    return c->fn(t, c->arg, err);
}

static void end_call(void *arg, struct error *err)
{
    struct call *c = arg;
    wake_waiter(&c->waiter, err);
}

int store_run(struct store *s, store_fn *fn, void *arg, struct error **err)
{
    struct call c = {.fn = fn, .arg = arg};

    pthread_mutex_init(&c.waiter.lock, NULL);
    pthread_cond_init(&c.waiter.done, NULL);
    store_submit(s, run_call, &c, end_call);
    pthread_mutex_lock(&c.waiter.lock);
    while (!c.waiter.is_done)
        pthread_cond_wait(&c.waiter.done, &c.waiter.lock);
    pthread_mutex_unlock(&c.waiter.lock);
    pthread_cond_destroy(&c.waiter.done);
    pthread_mutex_destroy(&c.waiter.lock);

    struct error *e = c.waiter.error;
    if (e == NULL)
        return 0;
    if (err)
        *err = e;
    else
        error_free(e);
    return -1;
}
