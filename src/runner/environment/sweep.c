#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/environment/internal.h"

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

static struct map *known_uids(struct controller *c)
{
    struct map *uids = map_new();
    struct cached **list;
    size_t n = informer_all(c->devices, &list);

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
static bool is_in_hand(struct controller *c, const struct instance *i)
{
    LOCK_SCOPE(&c->lock);
    const struct environment *e = map_get(c->environments, str_from(i->device));
    return e && streq(e->uid, i->uid);
}

/* From a revision that the store has not come to (reconcile.c: is_lost); where the label is missing, nothing is said.
 */
static bool is_stray(struct controller *c, const struct instance *i, uint64_t at)
{
    bool stray = is_lost_uid(c, i->uid);

    if (stray || i->revision == 0 || i->revision < at)
        return stray;
    log_warning(
        "container of device %s (%s) is from revision %llu, and the server's store is at %llu: an older one was "
        "put back; it is left alone (open-hydra-server down removes it)",
        i->device, i->uid, (unsigned long long)i->revision, (unsigned long long)at);
    set_lost_uid(c, i->uid, true);
    return true;
}

static void know_strays(struct controller *c, const struct instance *list, size_t n, struct map *known)
{
    uint64_t at = informer_revision(c->devices);

    for (size_t i = 0; i < n; i++)
        if (!map_get(known, str_from(list[i].uid)) && (is_in_hand(c, &list[i]) || is_stray(c, &list[i], at)))
            know(known, list[i].uid);
}

/* Returns whether that is new. */
static bool note_kept(struct controller *c, const char *uid, bool kept)
{
    LOCK_SCOPE(&c->lock);
    bool before = map_get(c->kept, str_from(uid)) != NULL;

    if (kept)
        map_set(c->kept, str_from(uid), c);
    else
        map_remove(c->kept, str_from(uid));
    return kept && !before;
}

bool device_is_gone(struct controller *c, const char *name, const char *uid)
{
    struct object_ref ref = {PLURAL_DEVICES, name, uid};
    _cleanup_error_ struct error *err = NULL;
    bool gone = !is_dns_subdomain(str_from(name)) || client_is_gone(c->o.client, &ref, &err);

    if (note_kept(c, uid, !gone) && !stop_said(client_stop_fd(c->o.client)))
        log_warning("%s: the list of devices does not hold it, and it is not known to be deleted (%s): left alone",
                    name, err->message);
    return gone;
}

void kept_may_be_gone(struct controller *c)
{
    LOCK_SCOPE(&c->lock);
    if (map_size(c->kept))
        c->next_sweep_us = 0;
}

static void sweep_containers(struct controller *c, const struct instance *list, size_t n, struct map *known)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *err = NULL;
        if (map_get(known, str_from(list[i].uid)))
            continue;
        if (!device_is_gone(c, list[i].device, list[i].uid)) {
            know(known, list[i].uid);
            continue;
        }
        log_warning("container of device %s (%s) has no device any more: removed", list[i].device, list[i].uid);
        if (environment_remove(c->o.runtime, c->o.environments, list[i].uid, limits.stop_grace_seconds, &err) < 0)
            log_warning("%s: %s", list[i].device, err->message);
    }
}

static void sweep_places(struct controller *c, char *const *names, size_t n, const struct map *known)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_error_ struct error *err = NULL;
        if (map_get(known, str_from(names[i])))
            continue;
        log_warning("socket directory %s has no device any more: removed", names[i]);
        if (place_remove(c->o.environments, names[i], &err) < 0)
            log_warning("%s", err->message);
    }
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

void sweep(struct controller *c)
{
    struct instance *instances;
    size_t instances_len;
    char **places;
    _cleanup_error_ struct error *err = NULL;
    size_t places_len = place_list(c->o.environments, &places);

    /* A container that could not be listed may still use its directory. */
    if (c->o.runtime->ops->list(c->o.runtime, &instances, &instances_len, &err) == 0) {
        struct map *known = known_uids(c);
        know_strays(c, instances, instances_len, known);
        sweep_containers(c, instances, instances_len, known);
        sweep_places(c, places, places_len, known);
        map_free(known, NULL);
        runtime_free_instances(instances, instances_len);
    }
    free_names(places, places_len);
}
