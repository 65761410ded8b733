#include "runner/environment/sweep.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "runner/environment/lost.h"

/*
 * What belongs to no device: instances of this installation, and what was made for instances that are not there any
 * more. What is there is asked first, the devices afterwards: an instance is made for a device that the copy holds
 * already, so that nothing in the making is taken for an orphan.
 */
struct sweeping {
    struct environments *es;
    const struct instance *list;
    size_t n;
    struct map *left_alone; /* ids of these: not ours to end, or not now */
};

/* Calls with the uid of each device that is known. */
static void each_device(struct environments *es, void (*call)(struct map *into, const char *uid), struct map *into)
{
    struct cached **list;
    size_t n = informer_all(es->devices, &list);

    for (size_t i = 0; i < n; i++) {
        const char *uid = json_str_at(list[i]->object, "metadata.uid");
        if (uid)
            call(into, uid);
        cached_unref(list[i]);
    }
    free(list);
}

static void know(struct map *into, const char *key)
{
    map_set(into, str_from(key), into);
}

static void know_instance(struct map *into, const char *device_uid)
{
    _cleanup_free_ char *id = environment_instance(device_uid);
    know(into, id);
}

/* What a worker still has in hand is its business. */
static bool is_in_hand(struct environments *es, const struct instance *i)
{
    LOCK_SCOPE(&es->lock);
    const struct environment *e = map_get(es->table, str_from(i->device));
    return e && streq(e->instance, i->id);
}

static bool is_orphan(struct environments *es, const struct instance *i, const struct map *devices, uint64_t at)
{
    return !map_get(devices, str_from(i->device_uid)) && !is_in_hand(es, i) && !instance_is_lost(es, i, at) &&
           device_is_gone(es, i->device, i->device_uid);
}

static void sweep_instances(struct sweeping *s, const struct map *devices)
{
    struct environments *es = s->es;
    uint64_t at = informer_revision(es->devices);

    for (size_t i = 0; i < s->n; i++) {
        const struct instance *one = &s->list[i];
        _cleanup_error_ struct error *err = NULL;
        if (!is_orphan(es, one, devices, at)) {
            know(s->left_alone, one->id);
            continue;
        }
        log_warning("container of device %s (%s) has no device any more: removed", one->device, one->device_uid);
        if (es->runtime->ops->remove(es->runtime, one->id, limits.stop_grace_seconds, &err) < 0)
            log_warning("%s: %s", one->device, err->message);
    }
}

static void know_wanted(void *arg, struct map *ids)
{
    const struct sweeping *s = arg;
    struct str key;
    void *v;

    each_device(s->es, know_instance, ids);
    for (size_t at = 0; map_next(s->left_alone, &at, &key, &v);)
        map_set(ids, key, ids);
    LOCK_SCOPE(&s->es->lock);
    for (size_t at = 0; map_next(s->es->table, &at, &key, &v);)
        know(ids, ((const struct environment *)v)->instance);
}

void sweep(struct environments *es)
{
    struct runtime *r = es->runtime;
    struct sweeping s = {.es = es, .left_alone = map_new()};
    struct map *devices = map_new();
    struct instance *list;
    _cleanup_error_ struct error *err = NULL;

    /* What could not be listed may still use what was made for it. */
    if (r->ops->list(r, &list, &s.n, NULL) == 0) {
        s.list = list;
        each_device(es, know, devices);
        sweep_instances(&s, devices);
        if (r->ops->sweep(r, know_wanted, &s, &err) < 0)
            log_warning("%s", err->message);
        runtime_free_instances(list, s.n);
    }
    map_free(devices, NULL);
    map_free(s.left_alone, NULL);
}
