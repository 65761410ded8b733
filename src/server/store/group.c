#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "server/store/group.h"
#include "server/store/opened.h"
#include "server/store/trim.h"

/*
 * A group: what several functions staged, seen through an overlay on the cache. Each staged write remembers the one
 * that it covers, so that a failing function's can be taken back, newest first.
 */
struct staged {
    struct backend_write write; /* holds references */
    struct collection *collection;
    struct str key; /* in the overlay */
    struct staged *covers;
    bool covered;
};

struct staged_secret {
    struct backend_secret write;
    struct str key;
    struct staged_secret *covers;
    bool covered;
};

struct hook {
    void (*fn)(void *arg);
    void *arg;
    void (*free_arg)(void *arg);
};

struct group {
    struct store *store;
    pthread_t thread; /* the writer: nobody else touches what is staged */
    struct arena *arena;
    struct map *overlay, *secret_overlay;
    struct staged **writes;
    size_t writes_len, writes_capacity;
    struct staged_secret **secrets;
    size_t secrets_len, secrets_capacity;
    struct hook *hooks;
    size_t hooks_len, hooks_capacity;
    uint64_t revision; /* of the last staged write */
    size_t bytes;
    struct room_free room;
};

struct store_txn {
    struct group *group;
    bool abandoned, essential;
};

/* A new revision or time may have some letters more. */
#define NO_GROWTH_BYTES 64

#define PUSH(array, len, capacity, value)                                                                              \
    do {                                                                                                               \
        if ((len) == (capacity)) {                                                                                     \
            (capacity) = (capacity) ? 2 * (capacity) : 16;                                                             \
            (array) = xreallocarray((array), (capacity), sizeof(*(array)));                                            \
        }                                                                                                              \
        (array)[(len)++] = (value);                                                                                    \
    } while (0)

struct group *group_new(struct store *s)
{
    struct group *g = xcalloc(1, sizeof(*g));

    g->store = s;
    g->thread = pthread_self();
    g->arena = arena_new();
    g->overlay = map_new();
    g->secret_overlay = map_new();
    g->revision = s->cache.revision;
    g->room = room_look(&s->room);
    return g;
}

/* A transaction ends with its function, on the thread that runs it. */
static struct group *group_of(const struct store_txn *t)
{
    assert(pthread_equal(t->group->thread, pthread_self()));
    return t->group;
}

/* --- Taking back --- */

static void drop_write(struct group *g)
{
    struct staged *w = g->writes[--g->writes_len];

    if (w->covers) {
        w->covers->covered = false;
        map_set(g->overlay, w->key, w->covers);
    } else {
        map_remove(g->overlay, w->key);
    }
    g->bytes -= w->write.object->json.n;
    object_unref(w->write.object);
    object_unref(w->write.previous);
    g->revision--;
}

static void drop_secret(struct group *g)
{
    struct staged_secret *w = g->secrets[--g->secrets_len];

    if (w->covers) {
        w->covers->covered = false;
        map_set(g->secret_overlay, w->key, w->covers);
    } else {
        map_remove(g->secret_overlay, w->key);
    }
}

static void drop_hook(struct group *g)
{
    struct hook *h = &g->hooks[--g->hooks_len];
    if (h->free_arg)
        h->free_arg(h->arg);
}

static void take_back(struct group *g, size_t writes, size_t secrets, size_t hooks)
{
    while (g->writes_len > writes)
        drop_write(g);
    while (g->secrets_len > secrets)
        drop_secret(g);
    while (g->hooks_len > hooks)
        drop_hook(g);
}

void group_free(struct group *g)
{
    for (size_t i = 0; i < g->writes_len; i++) {
        object_unref(g->writes[i]->write.object);
        object_unref(g->writes[i]->write.previous);
    }
    while (g->hooks_len)
        drop_hook(g);
    free(g->writes);
    free(g->secrets);
    free(g->hooks);
    map_free(g->overlay, NULL);
    map_free(g->secret_overlay, NULL);
    arena_free(g->arena);
    free(g);
}

static bool grows(const struct group *g, size_t from)
{
    for (size_t i = from; i < g->writes_len; i++) {
        const struct backend_write *w = &g->writes[i]->write;
        size_t before = w->previous ? w->previous->json.n + NO_GROWTH_BYTES : 0;
        if (w->type != EVENT_DELETED && w->object->json.n > before)
            return true;
    }
    return false;
}

void group_run(struct group *g, struct store_request *r)
{
    struct store_txn t = {.group = g};
    size_t writes = g->writes_len, secrets = g->secrets_len, hooks = g->hooks_len;

    int rc = r->fn(&t, r->arg, &r->error);
    if (rc < 0 && r->error == NULL)
        error_set(&r->error, REASON_INTERNAL, "the change failed without a reason");
    if (rc == 0 && !t.abandoned && !t.essential && room_is_low(g->room) && grows(g, writes))
        rc = room_error(g->room, &r->error);
    if (rc < 0 || t.abandoned)
        take_back(g, writes, secrets, hooks);
}

/* --- What a function may do --- */

/* Neither a collection nor a scope holds a NUL. */
static struct str overlay_key(struct group *g, const char *first, struct str second)
{
    size_t n = strlen(first) + 1;
    char *key = arena_alloc(g->arena, n + second.n + 1);

    memcpy(key, first, n);
    if (second.n)
        memcpy(key + n, second.p, second.n);
    return (struct str){key, n + second.n};
}

static struct object *present(struct group *g, const char *collection, struct str name, struct str key)
{
    struct staged *w = map_get(g->overlay, key);
    if (w)
        return w->write.type == EVENT_DELETED ? NULL : w->write.object;
    return collection_get(cache_collection(&g->store->cache, collection), name);
}

struct object *txn_get(struct store_txn *t, const char *collection, struct str name)
{
    return present(group_of(t), collection, name, overlay_key(group_of(t), collection, name));
}

static int compare_changes(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    int order = memcmp(x->name.p, y->name.p, x->name.n < y->name.n ? x->name.n : y->name.n);
    return order ? order : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* What is staged for one collection, by name. */
static struct change *changes_of(struct group *g, const struct collection *c, size_t *n)
{
    struct change *out = arena_alloc(g->arena, (g->writes_len + 1) * sizeof(*out));

    *n = 0;
    for (size_t i = 0; i < g->writes_len; i++) {
        struct staged *w = g->writes[i];
        if (w->collection == c && !w->covered)
            out[(*n)++] = (struct change){w->write.type == EVENT_DELETED ? NULL : w->write.object,
                                          str_from(w->write.object->name)};
    }
    qsort(out, *n, sizeof(*out), compare_changes);
    return out;
}

static bool touches(const struct group *g, const struct collection *c)
{
    for (size_t i = 0; i < g->writes_len; i++)
        if (g->writes[i]->collection == c)
            return true;
    return false;
}

void txn_list(struct store_txn *t, const char *collection, bool (*each)(void *arg, struct object *o), void *arg)
{
    struct group *g = group_of(t);
    const struct collection *c = cache_collection(&g->store->cache, collection);
    size_t n = c ? c->n : 0, changes_len;
    _cleanup_free_ struct object **merged = NULL;

    if (c && touches(g, c)) {
        struct change *changes = changes_of(g, c, &changes_len);
        _cleanup_free_ struct object **dropped = xcalloc(changes_len + 1, sizeof(struct object *));
        merged = collection_merge(c, changes, changes_len, dropped, &n);
    }
    struct object **items = merged ? merged : c ? c->items : NULL;
    for (size_t i = 0; i < n; i++)
        if (!each(arg, items[i]))
            return;
}

static const struct damaged *present_damaged(struct group *g, const char *collection, struct str name, struct str key)
{
    /* What is staged for it has taken its place. */
    return map_get(g->overlay, key) ? NULL : damaged_find(&g->store->cache.damaged, collection, name);
}

const char *txn_damaged(struct store_txn *t, const char *collection, struct str name)
{
    const struct damaged *d =
        present_damaged(group_of(t), collection, name, overlay_key(group_of(t), collection, name));
    return d ? d->uid : NULL;
}

uint64_t txn_next_revision(struct store_txn *t)
{
    return group_of(t)->revision + 1;
}

static void stage(struct group *g, enum event_type type, const char *collection, struct object *object,
                  struct object *previous, struct str key)
{
    struct staged *w = arena_alloc(g->arena, sizeof(*w));

    w->collection = cache_make_collection(&g->store->cache, collection);
    w->write = (struct backend_write){type, w->collection->name, object, previous ? object_ref(previous) : NULL};
    w->key = key;
    w->covers = map_set(g->overlay, key, w);
    if (w->covers)
        w->covers->covered = true;
    PUSH(g->writes, g->writes_len, g->writes_capacity, w);
    g->bytes += object->json.n;
}

void txn_put(struct store_txn *t, const char *collection, const char *name, const char *uid, struct str json)
{
    struct group *g = group_of(t);
    struct str key = overlay_key(g, collection, str_from(name));
    struct object *previous = present(g, collection, str_from(name), key);

    struct object *o = object_new(++g->revision, str_from(name), str_from(uid), json);
    stage(g, previous ? EVENT_MODIFIED : EVENT_ADDED, collection, o, previous, key);
}

void txn_delete(struct store_txn *t, const char *collection, const char *name, struct str final_json)
{
    struct group *g = group_of(t);
    struct str key = overlay_key(g, collection, str_from(name));
    struct object *previous = present(g, collection, str_from(name), key);
    const struct damaged *damaged = present_damaged(g, collection, str_from(name), key);

    if (previous == NULL && damaged == NULL)
        return;
    const char *uid = previous ? previous->uid : damaged->uid;
    struct object *o = object_new(++g->revision, str_from(name), str_from(uid), final_json);
    stage(g, EVENT_DELETED, collection, o, previous, key);
}

/* --- Secrets --- */

struct str txn_secret(struct store_txn *t, const char *scope, struct str key)
{
    struct group *g = group_of(t);
    struct staged_secret *w = map_get(g->secret_overlay, overlay_key(g, scope, key));

    if (w)
        return w->write.value;
    struct scope *s = cache_scope(&g->store->cache, scope);
    struct secret *record = s ? map_get(s->records, key) : NULL;
    return record ? (struct str){record->bytes, record->n} : (struct str){NULL, 0};
}

static bool list_staged_secrets(struct group *g, const char *scope,
                                bool (*each)(void *arg, struct str key, struct str value), void *arg)
{
    for (size_t i = 0; i < g->secrets_len; i++) {
        const struct staged_secret *w = g->secrets[i];
        if (!w->covered && w->write.value.p && strcmp(w->write.scope, scope) == 0 &&
            !each(arg, w->write.key, w->write.value))
            return false;
    }
    return true;
}

void txn_secret_list(struct store_txn *t, const char *scope, bool (*each)(void *arg, struct str key, struct str value),
                     void *arg)
{
    struct group *g = group_of(t);
    struct scope *s = cache_scope(&g->store->cache, scope);
    struct str key;
    void *value;

    if (!list_staged_secrets(g, scope, each, arg) || s == NULL)
        return;
    for (size_t at = 0; map_next(s->records, &at, &key, &value);) {
        struct secret *record = value;
        if (g->secrets_len && map_get(g->secret_overlay, overlay_key(g, scope, key)))
            continue;
        if (!each(arg, key, (struct str){record->bytes, record->n}))
            return;
    }
}

static void stage_secret(struct group *g, const char *scope, struct str key, struct str value)
{
    struct staged_secret *w = arena_alloc(g->arena, sizeof(*w));

    w->write =
        (struct backend_secret){cache_make_scope(&g->store->cache, scope)->name, arena_str(g->arena, key), value};
    w->key = overlay_key(g, scope, key);
    w->covers = map_set(g->secret_overlay, w->key, w);
    if (w->covers)
        w->covers->covered = true;
    PUSH(g->secrets, g->secrets_len, g->secrets_capacity, w);
}

void txn_secret_put(struct store_txn *t, const char *scope, struct str key, struct str value)
{
    stage_secret(group_of(t), scope, key, arena_str(group_of(t)->arena, value));
}

void txn_secret_delete(struct store_txn *t, const char *scope, struct str key)
{
    stage_secret(group_of(t), scope, key, (struct str){NULL, 0});
}

void txn_essential(struct store_txn *t)
{
    t->essential = true;
}

void txn_abandon(struct store_txn *t)
{
    t->abandoned = true;
}

void txn_after_commit(struct store_txn *t, void (*fn)(void *arg), void *arg, void (*free_arg)(void *arg))
{
    struct group *g = group_of(t);
    PUSH(g->hooks, g->hooks_len, g->hooks_capacity, ((struct hook){fn, arg, free_arg}));
}

/* --- Commit and publication --- */

bool group_is_empty(const struct group *g)
{
    return g->writes_len == 0 && g->secrets_len == 0;
}

size_t group_bytes(const struct group *g)
{
    return g->bytes;
}

int group_commit(struct group *g, struct error **err)
{
    struct backend_write *writes = arena_alloc(g->arena, (g->writes_len + 1) * sizeof(*writes));
    struct backend_secret *secrets = arena_alloc(g->arena, (g->secrets_len + 1) * sizeof(*secrets));

    for (size_t i = 0; i < g->writes_len; i++)
        writes[i] = g->writes[i]->write;
    for (size_t i = 0; i < g->secrets_len; i++)
        secrets[i] = g->secrets[i]->write;
    struct backend_batch batch = {writes,
                                  g->writes_len,
                                  secrets,
                                  g->secrets_len,
                                  g->revision,
                                  g->store->cache.log.start,
                                  clock_realtime_us() / 1000000,
                                  room_is_low(g->room)};
    return g->store->backend->ops->commit(g->store->backend, &batch, err);
}

/* The new order of one collection, made beforehand so that readers wait only while pointers are swapped. */
struct swap {
    struct collection *collection;
    struct object **items, **dropped;
    size_t n, dropped_len;
};

static struct swap prepare_swap(struct group *g, struct collection *c)
{
    struct swap s = {.collection = c};
    struct change *changes = changes_of(g, c, &s.dropped_len);

    for (size_t i = 0; i < s.dropped_len; i++)
        if (changes[i].object)
            object_ref(changes[i].object);
    s.dropped = arena_alloc(g->arena, (s.dropped_len + 1) * sizeof(struct object *));
    s.items = collection_merge(c, changes, s.dropped_len, s.dropped, &s.n);
    return s;
}

static size_t prepare_swaps(struct group *g, struct swap *swaps)
{
    size_t n = 0, at;

    for (size_t i = 0; i < g->writes_len; i++) {
        for (at = 0; at < n && swaps[at].collection != g->writes[i]->collection; at++)
            ;
        if (at == n)
            swaps[n++] = prepare_swap(g, g->writes[i]->collection);
    }
    return n;
}

static void swap_items(struct swap *s)
{
    struct object **items = s->collection->items;
    s->collection->items = s->items;
    s->collection->n = s->n;
    s->items = items;
}

static void apply(struct group *g, struct swap *swaps, size_t swaps_len)
{
    struct cache *c = &g->store->cache;
    int64_t now = clock_realtime_us() / 1000000;

    for (size_t i = 0; i < swaps_len; i++)
        swap_items(&swaps[i]);
    for (size_t i = 0; i < g->writes_len; i++) {
        struct backend_write *w = &g->writes[i]->write;
        damaged_forget(&c->damaged, w->collection, w->object->name);
        log_append(&c->log, &g->writes[i]->collection->track, w->type, object_ref(w->object), steal_ptr(w->previous),
                   now);
    }
    for (size_t i = 0; i < g->secrets_len; i++)
        scope_set(cache_scope(c, g->secrets[i]->write.scope), g->secrets[i]->write.key, g->secrets[i]->write.value);
    c->revision = g->revision;
    store_trim(g->store);
}

static void publish_writes(struct group *g)
{
    struct store *s = g->store;
    size_t most = s->cache.collections_len;
    struct swap *swaps = arena_alloc(g->arena, (most + 1) * sizeof(*swaps));
    size_t n = prepare_swaps(g, swaps);

    pthread_rwlock_wrlock(&s->cache.lock);
    apply(g, swaps, n);
    pthread_rwlock_unlock(&s->cache.lock);

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < swaps[i].dropped_len; j++)
            object_unref(swaps[i].dropped[j]);
        free(swaps[i].items);
        notifier_tell(s->notifier, swaps[i].collection->name);
    }
}

void group_publish(struct group *g)
{
    if (!group_is_empty(g))
        publish_writes(g);
    for (size_t i = 0; i < g->hooks_len; i++)
        g->hooks[i].fn(g->hooks[i].arg);
}
