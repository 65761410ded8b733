#include "server/store/cache.h"

#include <stdlib.h>

#include "base/alloc.h"

void cache_init(struct cache *c)
{
    pthread_rwlockattr_t attr;

    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&c->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

static void collection_free(struct collection *c)
{
    for (size_t i = 0; i < c->n; i++)
        object_unref(c->items[i]);
    free(c->items);
    free(c->track.revisions);
    free(c->name);
    free(c);
}

void cache_free(struct cache *c)
{
    log_free(&c->log);
    damaged_free(&c->damaged);
    for (size_t i = 0; i < c->collections_len; i++)
        collection_free(c->collections[i]);
    free(c->collections);
    for (size_t i = 0; i < c->scopes_len; i++) {
        map_free(c->scopes[i]->records, free);
        free(c->scopes[i]->name);
        free(c->scopes[i]);
    }
    free(c->scopes);
    pthread_rwlock_destroy(&c->lock);
}

struct collection *cache_collection(const struct cache *c, const char *name)
{
    for (size_t i = 0; i < c->collections_len; i++)
        if (strcmp(c->collections[i]->name, name) == 0)
            return c->collections[i];
    return NULL;
}

struct collection *cache_make_collection(struct cache *c, const char *name)
{
    struct collection *found = cache_collection(c, name);

    if (found)
        return found;
    found = xcalloc(1, sizeof(*found));
    found->name = xstrdup(name);
    pthread_rwlock_wrlock(&c->lock);
    c->collections = xreallocarray(c->collections, c->collections_len + 1, sizeof(struct collection *));
    c->collections[c->collections_len++] = found;
    pthread_rwlock_unlock(&c->lock);
    return found;
}

/* --- Secrets --- */

struct scope *cache_scope(const struct cache *c, const char *name)
{
    for (size_t i = 0; i < c->scopes_len; i++)
        if (strcmp(c->scopes[i]->name, name) == 0)
            return c->scopes[i];
    return NULL;
}

struct scope *cache_make_scope(struct cache *c, const char *name)
{
    struct scope *s = cache_scope(c, name);

    if (s)
        return s;
    s = xcalloc(1, sizeof(*s));
    s->name = xstrdup(name);
    s->records = map_new();
    pthread_rwlock_wrlock(&c->lock);
    c->scopes = xreallocarray(c->scopes, c->scopes_len + 1, sizeof(struct scope *));
    c->scopes[c->scopes_len++] = s;
    pthread_rwlock_unlock(&c->lock);
    return s;
}

void scope_set(struct scope *s, struct str key, struct str value)
{
    if (value.p == NULL) {
        free(map_remove(s->records, key));
        return;
    }
    struct secret *record = xmalloc(sizeof(*record) + value.n + 1);
    record->n = value.n;
    memcpy(record->bytes, value.p, value.n);
    record->bytes[value.n] = '\0';
    free(map_set(s->records, key, record));
}

/* --- Collections --- */

int object_name_compare(const struct object *o, struct str name)
{
    size_t n = strlen(o->name);
    int order = memcmp(o->name, name.p ? name.p : "", n < name.n ? n : name.n);
    return order ? order : (n > name.n) - (n < name.n);
}

size_t collection_find(const struct collection *c, struct str name, bool after)
{
    size_t low = 0, high = c ? c->n : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = object_name_compare(c->items[middle], name);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct object *collection_get(const struct collection *c, struct str name)
{
    size_t at = collection_find(c, name, false);
    return c && at < c->n && object_name_compare(c->items[at], name) == 0 ? c->items[at] : NULL;
}

static size_t copy_items(struct object **to, struct object **from, size_t n)
{
    if (n)
        memcpy(to, from, n * sizeof(struct object *));
    return n;
}

struct object **collection_merge(const struct collection *c, const struct change *changes, size_t changes_len,
                                 struct object **dropped, size_t *n)
{
    struct object **out = xreallocarray(NULL, c->n + changes_len + 1, sizeof(struct object *));
    size_t from = 0, to = 0;

    for (size_t i = 0; i < changes_len; i++) {
        size_t at = collection_find(c, changes[i].name, false);
        to += copy_items(out + to, c->items + from, at - from);
        from = at;
        dropped[i] = NULL;
        if (at < c->n && object_name_compare(c->items[at], changes[i].name) == 0)
            dropped[i] = c->items[from++];
        if (changes[i].object)
            out[to++] = changes[i].object;
    }
    *n = to + copy_items(out + to, c->items + from, c->n - from);
    return out;
}

void collection_append(struct collection *c, struct object *o)
{
    /* Doubles at powers of two, so that no capacity needs to be kept. */
    if ((c->n & (c->n - 1)) == 0)
        c->items = xreallocarray(c->items, c->n ? 2 * c->n : 1, sizeof(struct object *));
    c->items[c->n++] = o;
}

static int compare(const void *a, const void *b)
{
    const struct object *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

bool collection_sort(struct collection *c)
{
    if (c->n == 0)
        return true;
    qsort(c->items, c->n, sizeof(struct object *), compare);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(c->items[i - 1]->name, c->items[i]->name) == 0)
            return false;
    return true;
}
