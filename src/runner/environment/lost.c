#include "runner/environment/lost.h"

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "kinds/names.h"

/* --- Deleted, or not to be found --- */

/* Returns whether that is new. */
static bool note_kept(struct environments *es, const char *uid, bool kept)
{
    LOCK_SCOPE(&es->lock);
    bool before = map_get(es->kept, str_from(uid)) != NULL;

    if (kept)
        map_set(es->kept, str_from(uid), es);
    else
        map_remove(es->kept, str_from(uid));
    return kept && !before;
}

bool device_is_gone(struct environments *es, const char *name, const char *uid)
{
    struct object_ref ref = {PLURAL_DEVICES, name, uid};
    _cleanup_error_ struct error *err = NULL;
    bool gone = !is_dns_subdomain(str_from(name)) || client_is_gone(es->client, &ref, &err);

    if (note_kept(es, uid, !gone) && !environments_stopping(es))
        log_warning("%s: the list of devices does not hold it, and it is not known to be deleted (%s): left alone",
                    name, err->message);
    return gone;
}

static bool is_any_kept(struct environments *es)
{
    LOCK_SCOPE(&es->lock);
    return map_size(es->kept) != 0;
}

void kept_may_be_gone(struct environments *es)
{
    if (is_any_kept(es))
        environments_sweep_soon(es);
}

/* --- A store that went back --- */

bool is_lost_uid(struct environments *es, const char *uid)
{
    LOCK_SCOPE(&es->lock);
    return map_get(es->lost, str_from(uid)) != NULL;
}

void set_lost_uid(struct environments *es, const char *uid, bool lost)
{
    LOCK_SCOPE(&es->lock);
    if (lost)
        map_set(es->lost, str_from(uid), es);
    else
        map_remove(es->lost, str_from(uid));
}

/* What is missing in a store that has not yet come to where it was last seen was deleted by nobody: an older store was
 * put back, or an empty one. It goes on, though nobody is let in, until a store that knows it is there again, or `down`
 * removes it. */
bool environment_is_lost(struct environments *es, const struct environment *e)
{
    uint64_t at = informer_revision(es->devices);
    uint64_t seen = e->revision > e->written ? e->revision : e->written;

    if (is_lost_uid(es, e->uid))
        return true;
    if (e->gone || at == 0 || at > seen)
        return false;
    log_warning("%s: the server's store went back to revision %llu, from before it, and lost its device: left alone",
                e->name, (unsigned long long)at);
    set_lost_uid(es, e->uid, true);
    return true;
}

/* From a revision that the store has not come to; where the label is missing, nothing is said. */
bool instance_is_lost(struct environments *es, const struct instance *i, uint64_t at)
{
    bool stray = is_lost_uid(es, i->device_uid);

    if (stray || i->revision == 0 || i->revision < at)
        return stray;
    log_warning(
        "container of device %s (%s) is from revision %llu, and the server's store is at %llu: an older one was "
        "put back; it is left alone (open-hydra-server down removes it)",
        i->device, i->device_uid, (unsigned long long)i->revision, (unsigned long long)at);
    set_lost_uid(es, i->device_uid, true);
    return true;
}
