#include "client/informer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"

#define PAGE 500
#define WATCH_SECONDS 1800 /* at least; up to twice that, so that many do not come back together */
#define WATCH_GRACE_SECONDS 60
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 2000 /* less than a page waits until we have told where its environment listens (waiting.c) */
#define GOOD_WATCH_US 5000000 /* one that ends sooner is a failure, in however good order: the pauses grow */

struct informer {
    struct informer_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    struct map *objects; /* name → struct cached */
    bool synced, started;
    uint64_t at; /* `revision`, for others */
    unsigned restored;
    /* The thread's own: */
    char *revision; /* NULL: to be listed */
    bool said_lost;
};

void cached_unref(struct cached *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    yyjson_doc_free(c->doc);
    free(c);
}

static void unref(void *c)
{
    cached_unref(c);
}

static struct cached *ref(struct cached *c)
{
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

/* A copy of its own, so that one object does not keep the memory of a whole list. */
static struct cached *cached_new(yyjson_val *object)
{
    struct cached *c = xcalloc(1, sizeof(*c));
    size_t n;
    _cleanup_free_ char *text = json_write(object, &n);

    atomic_init(&c->refs, 1);
    c->doc = json_parse((struct str){text, n}, NULL);
    c->object = yyjson_doc_get_root(c->doc);
    return c;
}

static const char *name_of(yyjson_val *object)
{
    return json_str_at(object, "metadata.name");
}

/* --- List --- */

static void take_page(struct map *into, yyjson_val *list)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (yyjson_obj_get(list, "items"), i, max, v) {
        const char *name = name_of(v);
        if (name)
            cached_unref(map_set(into, str_from(name), cached_new(v)));
    }
}

static int list_all(struct informer *i, struct map *into, char **revision, struct error **err)
{
    _cleanup_free_ char *more = NULL;

    do {
        _cleanup_json_ yyjson_doc *doc = NULL;
        _cleanup_buffer_ struct buffer path = BUFFER_MAX(65536);
        buffer_printf(&path, "%s?limit=%d", i->o.plural, PAGE);
        if (more) {
            buffer_puts(&path, "&continue=");
            buffer_percent_encode(&path, str_from(more));
        }
        if (client_call(i->o.client, &(struct client_request){"GET", path.p, NULL, NULL}, &doc, err) < 0)
            return -1;
        yyjson_val *list = yyjson_doc_get_root(doc);
        take_page(into, list);
        const char *next = json_str_at(list, "metadata.continue"), *at = json_str_at(list, "metadata.resourceVersion");
        free(more);
        more = next && *next ? xstrdup(next) : NULL;
        free(*revision);
        *revision = at ? xstrdup(at) : NULL;
    } while (more);
    if (*revision == NULL)
        return error_set(err, REASON_INTERNAL, "the list of %s has no resourceVersion", i->o.plural);
    return 0;
}

static void say_changed(struct informer *i, struct map *objects)
{
    struct str name;
    void *v;

    for (size_t at = 0; map_next(objects, &at, &name, &v);) {
        _cleanup_free_ char *copy = xstrndup(name.p, name.n);
        i->o.changed(i->o.arg, copy);
    }
}

/* Both maps are told of: what is in neither did not change. The new one is in use by others: its names are copied
 * first. */
static void say_replaced(struct informer *i, struct map *old)
{
    struct cached **all;
    size_t n = informer_all(i, &all);

    for (size_t at = 0; at < n; at++) {
        const char *name = name_of(all[at]->object);
        i->o.changed(i->o.arg, name);
        cached_unref(map_remove(old, str_from(name)));
        cached_unref(all[at]);
    }
    free(all);
    say_changed(i, old);
}

static uint64_t version_from(const char *s)
{
    unsigned long long n;
    return str_to_u64(str_from(s), UINT64_MAX, &n) == 0 ? n : 0;
}

static int list_objects(struct informer *i, struct error **err)
{
    struct map *fresh = map_new();
    char *revision = NULL;

    if (list_all(i, fresh, &revision, err) < 0) {
        map_free(fresh, unref);
        free(revision);
        return -1;
    }
    pthread_mutex_lock(&i->lock);
    struct map *old = i->objects;
    uint64_t before = i->at;
    i->objects = fresh;
    i->synced = true;
    i->at = version_from(revision);
    uint64_t at = i->at;
    i->restored += at < before;
    pthread_mutex_unlock(&i->lock);
    free(i->revision);
    i->revision = revision;
    if (at < before)
        log_warning("%s: the server's store went back from revision %" PRIu64 " to %" PRIu64, i->o.plural, before, at);
    say_replaced(i, old);
    map_free(old, unref);
    return 0;
}

/* --- Watch --- */

static void set_revision(struct informer *i, yyjson_val *object)
{
    const char *at = json_str_at(object, "metadata.resourceVersion");
    if (at == NULL || version_from(at) < i->at)
        return;
    free(i->revision);
    i->revision = xstrdup(at);
    LOCK_SCOPE(&i->lock);
    i->at = version_from(at);
}

/* An event that tells of a state before the one that is known: a server that keeps the conventions sends none. Under
 * the lock. */
static bool is_older(struct informer *i, yyjson_val *object)
{
    const struct cached *known = map_get(i->objects, str_from(name_of(object)));

    return known && streq(json_str_at(known->object, "metadata.uid"), json_str_at(object, "metadata.uid")) &&
           object_version(object) < object_version(known->object);
}

static void apply_event(struct informer *i, yyjson_val *object, bool deleted)
{
    const char *name = name_of(object);
    struct cached *old;

    if (name == NULL)
        return;
    {
        LOCK_SCOPE(&i->lock);
        if (is_older(i, object))
            return;
        struct cached *now = deleted ? NULL : cached_new(object);
        old = deleted ? map_remove(i->objects, str_from(name)) : map_set(i->objects, str_from(name), now);
    }
    cached_unref(old);
    i->o.changed(i->o.arg, name);
}

/* An ERROR event: 410 says that the log no longer reaches back; anything else is treated likewise, since a list puts
 * all right. */
static int take_error(struct informer *i, yyjson_val *status)
{
    log_info("watch of %s: %s; listing anew", i->o.plural,
             json_str_at(status, "message") ? json_str_at(status, "message") : "ended");
    free(i->revision);
    i->revision = NULL;
    return -1;
}

static int take_event(void *arg, struct str line)
{
    struct informer *i = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(line, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc), *object = json_at(root, "object");
    const char *type = json_str_at(root, "type");

    if (type == NULL || object == NULL)
        return -1;
    if (strcmp(type, "ERROR") == 0)
        return take_error(i, object);
    /* First: who is told of a deletion may ask at which revision that was. */
    set_revision(i, object);
    if (strcmp(type, "BOOKMARK") != 0)
        apply_event(i, object, strcmp(type, "DELETED") == 0);
    return 0;
}

static int watch(struct informer *i, struct error **err)
{
    uint32_t dice;
    random_bytes(&dice, sizeof(dice));
    unsigned seconds = WATCH_SECONDS + dice % WATCH_SECONDS;
    _cleanup_free_ char *path = xasprintf("%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s",
                                          i->o.plural, seconds, i->revision);
    return client_stream(i->o.client, path, seconds + WATCH_GRACE_SECONDS, take_event, i, err);
}

/* --- The thread --- */

/* A watch that was resumed may say nothing for long; so ask for something small to know that the server is there again.
 * Where its store went back behind what is known here, nothing can be resumed: 1. */
static int probe(struct informer *i, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s?limit=1", i->o.plural);
    _cleanup_json_ yyjson_doc *answer = NULL;

    if (client_call(i->o.client, &(struct client_request){"GET", path, NULL, NULL}, &answer, err) < 0)
        return -1;
    uint64_t at = version_from(json_str_at(yyjson_doc_get_root(answer), "metadata.resourceVersion"));
    return at && at < i->at;
}

static int connect_once(struct informer *i, struct error **err)
{
    int rc = i->revision ? probe(i, err) : 1;

    if (rc < 0 || (rc > 0 && list_objects(i, err) < 0))
        return -1;
    if (i->said_lost)
        log_info("%s: the server answers again", i->o.plural);
    i->said_lost = false;
    i->o.connected(i->o.arg);
    return 0;
}

static void say_lost(struct informer *i, const struct error *err)
{
    if (i->said_lost || stop_said(client_stop_fd(i->o.client)))
        return;
    log_warning("%s: %s; trying again", i->o.plural, err->message);
    i->said_lost = true;
    i->o.lost(i->o.arg, err->message);
}

static unsigned jittered(unsigned ms)
{
    uint16_t dice;
    random_bytes(&dice, sizeof(dice));
    return ms / 2 + dice % (ms / 2 + 1);
}

/* True: it lasted. */
static bool watch_once(struct informer *i)
{
    _cleanup_error_ struct error *err = NULL;
    int64_t begun = clock_monotonic_us();

    if (watch(i, &err) < 0 && err->reason == REASON_EXPIRED) {
        free(i->revision);
        i->revision = NULL;
    }
    return clock_monotonic_us() - begun >= GOOD_WATCH_US;
}

static void *list_and_watch(void *arg)
{
    struct informer *i = arg;
    int stop_fd = client_stop_fd(i->o.client);
    unsigned pause = FIRST_PAUSE_MS;

    while (!stop_said(stop_fd)) {
        _cleanup_error_ struct error *err = NULL;
        if (connect_once(i, &err) < 0)
            say_lost(i, err);
        else if (watch_once(i))
            pause = FIRST_PAUSE_MS;
        stop_wait(stop_fd, jittered(pause));
        pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
    }
    return NULL;
}

struct informer *informer_new(const struct informer_options *options)
{
    struct informer *i = xcalloc(1, sizeof(*i));
    i->o = *options;
    i->objects = map_new();
    pthread_mutex_init(&i->lock, NULL);
    return i;
}

void informer_start(struct informer *i)
{
    i->started = true;
    i->thread = thread_start(i->o.plural, list_and_watch, i);
}

void informer_free(struct informer *i)
{
    if (i == NULL)
        return;
    if (i->started)
        pthread_join(i->thread, NULL);
    map_free(i->objects, unref);
    pthread_mutex_destroy(&i->lock);
    free(i->revision);
    free(i);
}

bool informer_synced(struct informer *i)
{
    LOCK_SCOPE(&i->lock);
    return i->synced;
}

struct cached *informer_get(struct informer *i, const char *name)
{
    LOCK_SCOPE(&i->lock);
    return ref(map_get(i->objects, str_from(name)));
}

uint64_t informer_revision(struct informer *i)
{
    LOCK_SCOPE(&i->lock);
    return i->at;
}

unsigned informer_restored(struct informer *i)
{
    LOCK_SCOPE(&i->lock);
    return i->restored;
}

size_t informer_all(struct informer *i, struct cached ***out)
{
    LOCK_SCOPE(&i->lock);
    struct cached **list = xcalloc(map_size(i->objects) + 1, sizeof(struct cached *));
    struct str name;
    size_t n = 0;
    void *v;

    for (size_t at = 0; map_next(i->objects, &at, &name, &v);)
        list[n++] = ref(v);
    *out = list;
    return n;
}
