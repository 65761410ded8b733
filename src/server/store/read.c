#include "base/alloc.h"
#include "base/thread.h"
#include "server/store/opened.h"
#include "server/store/store.h"

/* A commit, a compaction or a step of tidying that takes longer hangs: on a sick disk, most likely. */
#define STUCK_US 10000000

/* --- Reading --- */

uint64_t store_revision(struct store *s)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    uint64_t revision = s->cache.revision;
    pthread_rwlock_unlock(&s->cache.lock);
    return revision;
}

struct object *store_get(struct store *s, const char *collection, struct str name)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    struct object *o = collection_get(cache_collection(&s->cache, collection), name);
    if (o)
        object_ref(o);
    pthread_rwlock_unlock(&s->cache.lock);
    return o;
}

uint64_t store_list(struct store *s, const char *collection, struct str after,
                    bool (*each)(void *arg, struct object *o), void *arg)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    const struct collection *c = cache_collection(&s->cache, collection);
    for (size_t i = after.n ? collection_find(c, after, true) : 0; c && i < c->n; i++)
        if (!each(arg, c->items[i]))
            break;
    uint64_t revision = s->cache.revision;
    pthread_rwlock_unlock(&s->cache.lock);
    return revision;
}

size_t store_count(struct store *s, const char *collection)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    const struct collection *c = cache_collection(&s->cache, collection);
    size_t n = c ? c->n : 0;
    pthread_rwlock_unlock(&s->cache.lock);
    return n;
}

char *store_damaged(struct store *s, const char *collection, struct str name)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    const struct damaged *d = damaged_find(&s->cache.damaged, collection, name);
    char *why = d ? xstrdup(d->why) : NULL;
    pthread_rwlock_unlock(&s->cache.lock);
    return why;
}

size_t store_damaged_count(struct store *s, const char *collection)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    size_t n = damaged_count(&s->cache.damaged, collection);
    pthread_rwlock_unlock(&s->cache.lock);
    return n;
}

struct store_log_size store_log_size(struct store *s)
{
    pthread_rwlock_rdlock(&s->cache.lock);
    struct store_log_size size = {s->cache.log.live, s->cache.log.bytes};
    pthread_rwlock_unlock(&s->cache.lock);
    return size;
}

char *store_secret(struct store *s, const char *scope, struct str key, size_t *n)
{
    char *copy = NULL;

    pthread_rwlock_rdlock(&s->cache.lock);
    struct scope *found = cache_scope(&s->cache, scope);
    struct secret *record = found ? map_get(found->records, key) : NULL;
    if (record) {
        copy = xmalloc(record->n + 1);
        memcpy(copy, record->bytes, record->n + 1);
        if (n)
            *n = record->n;
    }
    pthread_rwlock_unlock(&s->cache.lock);
    return copy;
}

void store_secret_list(struct store *s, const char *scope, bool (*each)(void *arg, struct str key, struct str value),
                       void *arg)
{
    struct str key;
    void *value;

    pthread_rwlock_rdlock(&s->cache.lock);
    struct scope *found = cache_scope(&s->cache, scope);
    for (size_t at = 0; found && map_next(found->records, &at, &key, &value);) {
        struct secret *record = value;
        if (!each(arg, key, (struct str){record->bytes, record->n}))
            break;
    }
    pthread_rwlock_unlock(&s->cache.lock);
}

/* --- How it is --- */

int store_health(struct store *s, int64_t now_us, struct error **err)
{
    int64_t since = atomic_load(&s->state.busy_since_us);
    struct room_free room = room_look(&s->room);

    if (since && now_us - since > STUCK_US)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "a write to the database has taken %lld s so far",
                         (long long)(now_us - since) / 1000000);
    {
        LOCK_SCOPE(&s->state.lock);
        if (s->state.failure)
            return error_set(err, s->state.failure->reason, "%s", s->state.failure->message);
    }
    return room_is_low(room) ? room_error(room, err) : 0;
}

/* --- Watching --- */

int store_events(struct store *s, const char *collection, uint64_t after, struct event *out, size_t max,
                 uint64_t *reached, struct error **err)
{
    int rc;

    pthread_rwlock_rdlock(&s->cache.lock);
    const struct event_log *log = &s->cache.log;
    const struct collection *c = cache_collection(&s->cache, collection);
    uint64_t start = c && c->track.start > log->start ? c->track.start : log->start;
    if (after < start) {
        rc = error_set(err, REASON_EXPIRED, "too old resource version: %llu (%llu)", (unsigned long long)after,
                       (unsigned long long)start);
    } else if (after > log->end) {
        rc = error_set(err, REASON_TIMEOUT, "Too large resource version: %llu, current: %llu",
                       (unsigned long long)after, (unsigned long long)log->end);
    } else {
        rc = (int)log_read(log, c ? &c->track : NULL, after, out, max, reached);
    }
    pthread_rwlock_unlock(&s->cache.lock);
    return rc;
}

void store_watch(struct store *s, const char *collection, struct store_watch *w)
{
    notifier_add(s->notifier, collection, w);
}

void store_unwatch(struct store *s, const char *collection, struct store_watch *w)
{
    notifier_remove(s->notifier, collection, w);
}
