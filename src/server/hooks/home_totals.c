#include "server/hooks/home_totals.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/thread.h"
#include "server/api/metrics.h"

struct home {
    uint64_t used, quota;
};

struct home_totals {
    pthread_mutex_t lock;
    struct map *homes; /* by the device's name */
};

static void put(struct home_totals *t, const char *device, const struct home *home)
{
    struct home *kept = NULL;

    if (home) {
        kept = xcalloc(1, sizeof(*kept));
        *kept = *home;
    }
    LOCK_SCOPE(&t->lock);
    free(kept ? map_set(t->homes, str_from(device), kept) : map_remove(t->homes, str_from(device)));
}

static bool take_stored(void *arg, struct object *o)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    yyjson_val *storage = json_at(yyjson_doc_get_root(doc), "status.storage");
    const struct home home = {(uint64_t)json_int_at(storage, "usedBytes", 0),
                              (uint64_t)json_int_at(storage, "quotaBytes", 0)};

    if (storage)
        put(arg, o->name, &home);
    return true;
}

struct home_totals *home_totals_new(struct store *store)
{
    struct home_totals *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    t->homes = map_new();
    store_list(store, PLURAL_DEVICES, STR(""), take_stored, t);
    return t;
}

void home_totals_free(struct home_totals *t)
{
    if (t == NULL)
        return;
    map_free(t->homes, free);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* --- What is written --- */

struct noted {
    struct home_totals *totals;
    char *device;
    bool known;
    struct home home;
};

static void take_noted(void *arg)
{
    const struct noted *n = arg;
    put(n->totals, n->device, n->known ? &n->home : NULL);
}

static void free_noted(void *arg)
{
    struct noted *n = arg;

    free(n->device);
    free(n);
}

static uint64_t number_in(yyjson_mut_val *storage, const char *key)
{
    return yyjson_mut_get_uint(yyjson_mut_obj_get(storage, key));
}

void home_totals_note(struct admission *a, struct store_txn *t, bool gone)
{
    const struct hook_context *context = a->context;
    const char *device = json_mut_str_at(a->object, "metadata.name");
    yyjson_mut_val *storage = gone ? NULL : json_mut_at(a->object, "status.storage");

    if (context->home_totals == NULL || device == NULL || (storage == NULL && !gone))
        return;
    struct noted *n = xcalloc(1, sizeof(*n));
    *n = (struct noted){context->home_totals,
                        xstrdup(device),
                        storage != NULL,
                        {number_in(storage, "usedBytes"), number_in(storage, "quotaBytes")}};
    txn_after_commit(t, take_noted, n, free_noted);
}

/* --- What is said --- */

struct sums {
    uint64_t used;
    size_t within, nearly_full, over;
};

static struct sums add_up(struct home_totals *t)
{
    LOCK_SCOPE(&t->lock);
    struct sums s = {0};
    struct str name;
    void *v;

    for (size_t at = 0; map_next(t->homes, &at, &name, &v);) {
        const struct home *h = v;
        s.used += h->used;
        if (h->quota && h->used > h->quota)
            s.over++;
        else if (h->quota && h->used >= h->quota - h->quota / 10)
            s.nearly_full++;
        else
            s.within++;
    }
    return s;
}

void home_totals_write(struct buffer *b, void *context)
{
    struct home_totals *t = ((const struct hook_context *)context)->home_totals;

    if (t == NULL)
        return;
    const struct sums s = add_up(t);
    metrics_head(b, "open_hydra_homes_used_bytes", "gauge", "What the files of all who have an environment take.");
    buffer_printf(b, "open_hydra_homes_used_bytes %llu\n", (unsigned long long)s.used);
    metrics_head(b, "open_hydra_homes", "gauge", "Owners of an environment, by how much of their quota they take.");
    buffer_printf(b,
                  "open_hydra_homes{quota=\"within\"} %zu\nopen_hydra_homes{quota=\"nearly_full\"} %zu\n"
                  "open_hydra_homes{quota=\"over\"} %zu\n",
                  s.within, s.nearly_full, s.over);
}
