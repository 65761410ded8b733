#include "server/gateway/endpoints.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"

struct known_endpoint {
    char *name, *address, *token; /* owned */
};
struct known_device {
    _Atomic int64_t visited_us; /* under the lock for reading; wall clock, 0: not yet */
    size_t n;
    struct known_endpoint list[];
};

struct endpoints {
    pthread_rwlock_t lock;
    struct map *devices; /* uid → struct known_device */
};

struct endpoints *endpoints_new(void)
{
    struct endpoints *all = xcalloc(1, sizeof(*all));

    pthread_rwlock_init(&all->lock, NULL);
    all->devices = map_new();
    return all;
}

static void known_device_free(void *p)
{
    struct known_device *d = p;

    for (size_t i = 0; d && i < d->n; i++) {
        if (d->list[i].token)
            sodium_memzero(d->list[i].token, strlen(d->list[i].token));
        free(d->list[i].token);
        free(d->list[i].address);
        free(d->list[i].name);
    }
    free(d);
}

void endpoints_free(struct endpoints *all)
{
    map_free(all->devices, known_device_free);
    pthread_rwlock_destroy(&all->lock);
    free(all);
}

void endpoints_set(struct endpoints *all, const char *device_uid, const struct endpoint *list, size_t n)
{
    struct known_device *d = xcalloc(1, sizeof(*d) + n * sizeof(d->list[0]));

    assert(n > 0); /* the first is what the device's address leads to */
    d->n = n;
    for (size_t i = 0; i < n; i++)
        d->list[i] = (struct known_endpoint){xstrdup(list[i].name), xstrdup(list[i].address),
                                             list[i].token ? xstrdup(list[i].token) : NULL};
    pthread_rwlock_wrlock(&all->lock);
    const struct known_device *before = map_get(all->devices, str_from(device_uid));
    atomic_init(&d->visited_us, before ? atomic_load(&before->visited_us) : 0);
    known_device_free(map_set(all->devices, str_from(device_uid), d));
    pthread_rwlock_unlock(&all->lock);
}

void endpoints_forget(struct endpoints *all, const char *device_uid)
{
    pthread_rwlock_wrlock(&all->lock);
    known_device_free(map_remove(all->devices, str_from(device_uid)));
    pthread_rwlock_unlock(&all->lock);
}

static const struct known_endpoint *endpoint_of(const struct known_device *d, const char *name)
{
    for (size_t i = 0; d && i < d->n; i++)
        if (name == NULL || streq(d->list[i].name, name))
            return &d->list[i];
    return NULL;
}

bool endpoints_find(struct endpoints *all, const char *device_uid, const char *name, struct arena *arena,
                    struct endpoint *out)
{
    pthread_rwlock_rdlock(&all->lock);
    const struct known_endpoint *e = endpoint_of(map_get(all->devices, str_from(device_uid)), name);
    if (e)
        *out = (struct endpoint){arena_strdup(arena, e->name), arena_strdup(arena, e->address),
                                 e->token ? arena_strdup(arena, e->token) : NULL};
    pthread_rwlock_unlock(&all->lock);
    return e != NULL;
}

bool endpoints_has(struct endpoints *all, const char *device_uid)
{
    pthread_rwlock_rdlock(&all->lock);
    bool has = map_get(all->devices, str_from(device_uid)) != NULL;
    pthread_rwlock_unlock(&all->lock);
    return has;
}

void endpoints_note_visit(struct endpoints *all, const char *device_uid, int64_t now_us)
{
    pthread_rwlock_rdlock(&all->lock);
    struct known_device *d = map_get(all->devices, str_from(device_uid));
    if (d)
        atomic_store_explicit(&d->visited_us, now_us, memory_order_relaxed);
    pthread_rwlock_unlock(&all->lock);
}

int64_t endpoints_last_visit(struct endpoints *all, const char *device_uid)
{
    pthread_rwlock_rdlock(&all->lock);
    const struct known_device *d = map_get(all->devices, str_from(device_uid));
    int64_t at = d ? atomic_load_explicit(&d->visited_us, memory_order_relaxed) : 0;
    pthread_rwlock_unlock(&all->lock);
    return at;
}
