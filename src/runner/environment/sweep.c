#include "runner/environment/sweep.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "runner/environment/lost.h"

/*
 * What belongs to no device: containers of this installation, socket directories and mounts. What is there is asked
 * first, the devices afterwards: a container is made for a device that the copy holds already, so that nothing in the
 * making is taken for an orphan.
 */
static void know(struct map *known, const char *uid)
{
    char place[PLACE_NAME_SIZE];

    place_name(place, uid);
    map_set(known, str_from(uid), known);
    map_set(known, str_from(place), known);
}

static struct map *known_uids(struct environments *es)
{
    struct map *uids = map_new();
    struct cached **list;
    size_t n = informer_all(es->devices, &list);

    for (size_t i = 0; i < n; i++) {
        const char *uid = json_str_at(list[i]->object, "metadata.uid");
        if (uid)
            know(uids, uid);
        cached_unref(list[i]);
    }
    free(list);
    return uids;
}

/* What a worker still has in hand is its business. */
static bool is_in_hand(struct environments *es, const struct instance *i)
{
    LOCK_SCOPE(&es->lock);
    const struct environment *e = map_get(es->table, str_from(i->device));
    return e && streq(e->uid, i->uid);
}

static void know_strays(struct environments *es, const struct instance *list, size_t n, struct map *known)
{
    uint64_t at = informer_revision(es->devices);

    for (size_t i = 0; i < n; i++)
        if (!map_get(known, str_from(list[i].uid)) && (is_in_hand(es, &list[i]) || instance_is_lost(es, &list[i], at)))
            know(known, list[i].uid);
}

static void sweep_containers(struct environments *es, const struct instance *list, size_t n, struct map *known)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *err = NULL;
        if (map_get(known, str_from(list[i].uid)))
            continue;
        if (!device_is_gone(es, list[i].device, list[i].uid)) {
            know(known, list[i].uid);
            continue;
        }
        log_warning("container of device %s (%s) has no device any more: removed", list[i].device, list[i].uid);
        if (environment_remove(es->runtime, es->folder, list[i].uid, limits.stop_grace_seconds, &err) < 0)
            log_warning("%s: %s", list[i].device, err->message);
    }
}

static void sweep_places(struct environments *es, char *const *names, size_t n, const struct map *known)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *err = NULL;
        if (map_get(known, str_from(names[i])))
            continue;
        log_warning("socket directory %s has no device any more: removed", names[i]);
        if (place_remove(es->folder, names[i], &err) < 0)
            log_warning("%s", err->message);
    }
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

void sweep(struct environments *es)
{
    struct instance *instances;
    size_t instances_len;
    char **places;
    _cleanup_error_ struct error *err = NULL;
    size_t places_len = place_list(es->folder, &places);

    /* A container that could not be listed may still use its directory. */
    if (es->runtime->ops->list(es->runtime, &instances, &instances_len, &err) == 0) {
        struct map *known = known_uids(es);
        know_strays(es, instances, instances_len, known);
        sweep_containers(es, instances, instances_len, known);
        sweep_places(es, places, places_len, known);
        map_free(known, NULL);
        runtime_free_instances(instances, instances_len);
    }
    free_names(places, places_len);
}
