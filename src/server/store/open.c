#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "server/store/lock.h"
#include "server/store/opened.h"
#include "server/store/trim.h"
#include "server/store/writer.h"

#define DEFAULT_LOG_EVENTS 10000
#define DEFAULT_LOG_BYTES ((size_t)64 << 20)
#define DEFAULT_TRIM_MS 15000

/* --- Load --- */

struct loading {
    struct store *store;
    const struct store_options *options;
    uint64_t newest; /* of any object */
    bool sorted, twice, gap, any_event;
};

static int check(const struct loading *l, const char *collection, const struct object *o, struct error **err)
{
    if (l->options->check)
        return l->options->check(l->options->check_arg, collection, o, err);
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, err);
    return doc ? 0 : -1;
}

static void set_aside(struct loading *l, const char *collection, struct object *o, const struct error *why)
{
    log_error("%s \"%s\" is damaged and set aside, everything else works: %s. Delete it, or put a backup in its place",
              collection, o->name, why->message);
    damaged_add(&l->store->cache.damaged, collection, o->name, o->uid, why->message);
    object_unref(o);
}

static void load_object(void *arg, const char *collection, struct object *o)
{
    struct loading *l = arg;
    _cleanup_error_ struct error *why = NULL;

    if (check(l, collection, o, &why) < 0)
        return set_aside(l, collection, o, why);
    if (o->revision > l->newest)
        l->newest = o->revision;
    collection_append(cache_make_collection(&l->store->cache, collection), o);
}

static void load_secret(void *arg, const char *scope, struct str key, struct str value)
{
    struct loading *l = arg;
    scope_set(cache_make_scope(&l->store->cache, scope), key, value);
}

static void sort(struct loading *l)
{
    struct cache *c = &l->store->cache;

    for (size_t i = 0; !l->sorted && i < c->collections_len; i++)
        if (!collection_sort(c->collections[i]))
            l->twice = true;
    l->sorted = true;
}

static void restart_log(struct event_log *log, uint64_t revision)
{
    log_free(log);
    log_init(log, revision);
}

static bool is_event(const struct loading *l, enum event_type type, const char *collection, const struct object *o)
{
    _cleanup_error_ struct error *why = NULL;

    if ((unsigned)type > EVENT_DELETED)
        return false;
    return o == NULL || check(l, collection, o, &why) == 0;
}

/* The object of an event: its own, the present one, or none. */
static struct object *object_of_event(struct loading *l, const struct collection *c, uint64_t revision, struct str name,
                                      struct object *own)
{
    struct object *present = own ? NULL : collection_get(c, name);

    return present && present->revision == revision ? object_ref(present) : own;
}

/* The log must lead to the present without a hole: behind one, it begins again. */
static void load_event(void *arg, enum event_type type, uint64_t revision, const char *collection, struct str name,
                       struct object *o, int64_t realtime_s)
{
    struct loading *l = arg;
    struct event_log *log = &l->store->cache.log;

    sort(l);
    if (!l->any_event)
        l->store->disk_log_start = revision - 1;
    l->any_event = true;
    struct collection *c = cache_make_collection(&l->store->cache, collection);
    if (is_event(l, type, collection, o))
        o = object_of_event(l, c, revision, name, o);
    else
        object_unref(steal_ptr(o));
    if (o && revision != log->end + 1) {
        l->gap |= log_size(log) > 0;
        restart_log(log, revision - 1);
    }
    if (o)
        log_append(log, &c->track, type, o, NULL, realtime_s);
    if (o == NULL) {
        l->gap |= log_size(log) > 0;
        restart_log(log, revision);
    }
    /* A log from before there was a limit may be larger than what memory there is. */
    store_trim(l->store);
}

static int load(struct store *s, const struct store_options *options, struct error **err)
{
    struct loading l = {.store = s, .options = options};
    const struct backend_sink sink = {&l, load_object, load_secret, load_event};
    struct cache *c = &s->cache;

    if (s->backend->ops->load(s->backend, &sink, &c->revision, err) < 0)
        return -1;
    sort(&l);
    if (c->damaged.n && s->backend->ops->reindex(s->backend, err) < 0)
        return -1;
    if (l.twice || l.newest > c->revision || c->log.end > c->revision)
        return error_set(err, REASON_INTERNAL,
                         "the database contradicts itself (%s): put a backup in its place, or move it away",
                         l.twice ? "a name is there twice" : "an object is newer than the last revision");
    if (c->log.end != c->revision) {
        l.gap |= log_size(&c->log) > 0;
        restart_log(&c->log, c->revision);
    }
    if (l.gap)
        log_warning("the log of events has a hole: watches from before it have to list again");
    /* What lies below on the disk goes with the first compactions. */
    if (!l.any_event)
        s->disk_log_start = c->log.start;
    s->more_to_do = true;
    return 0;
}

/* --- Open and close --- */

static void free_store(struct store *s)
{
    if (s->backend)
        s->backend->ops->close(s->backend);
    cache_free(&s->cache);
    room_close(&s->room);
    state_free(&s->state);
    pthread_cond_destroy(&s->queue_filled);
    pthread_mutex_destroy(&s->queue_lock);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
}

static void set_log_limits(struct cache *c, const struct store_options *options)
{
    for (size_t i = 0; i < options->log_limits_len; i++) {
        const struct store_log_limit *limit = &options->log_limits[i];
        struct log_track *track = &cache_make_collection(c, limit->collection)->track;

        track->own_events = limit->max_events;
        track->own_seconds = limit->max_age_seconds;
    }
}

struct store *store_open(const struct store_options *options, struct error **err)
{
    struct store *s = xcalloc(1, sizeof(*s));

    s->log_max_events = options->log_max_events ? options->log_max_events : DEFAULT_LOG_EVENTS;
    s->log_max_bytes = options->log_max_bytes ? options->log_max_bytes : DEFAULT_LOG_BYTES;
    s->log_max_age_seconds = options->log_max_age_seconds;
    s->trim_milliseconds = options->trim_milliseconds ? options->trim_milliseconds : DEFAULT_TRIM_MS;
    s->queue_end = &s->queue;
    pthread_mutex_init(&s->queue_lock, NULL);
    cond_init_monotonic(&s->queue_filled);
    state_init(&s->state);
    room_open(&s->room, options->directory, options->reserve_bytes);
    cache_init(&s->cache);
    log_init(&s->cache.log, 0);
    set_log_limits(&s->cache, options);
    s->lock_fd = store_lock(options->directory, err);
    if (s->lock_fd >= 0)
        s->backend = sqlite_open(options->directory, &s->room, options->no_sync, err);
    if (s->backend == NULL || load(s, options, err) < 0) {
        free_store(s);
        return NULL;
    }
    store_trim(s);
    s->pushed_out_s = 0; /* nobody watches yet */
    s->notifier = notifier_new();
    writer_start(s);
    return s;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    writer_stop(s);
    notifier_free(s->notifier);
    free_store(s);
}
