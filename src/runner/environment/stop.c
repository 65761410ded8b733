#include "runner/environment/stop.h"

#include "base/log.h"
#include "kinds/names.h"
#include "runner/environment/status.h"
#include "runner/environment/storage.h"

static bool take_away(struct environments *es, struct environment *e, struct error **err)
{
    if (e->gone)
        return true;
    if (es->runtime->ops->remove(es->runtime, e->instance, limits.stop_grace_seconds, err) < 0)
        return false;
    e->gone = true;
    pulses_drop(es->pulses, e->name, true);
    activities_drop(es->activities, e->name);
    storage_leave(es->storage, e->owner);
    log_info("%s: stopped and removed", e->name);
    return true;
}

/* Nothing is left of it but the object, which waits for others: who they are stands in their finalizers. */
static void say_stopped(struct environment *e, yyjson_val *object)
{
    _cleanup_buffer_ struct buffer names = BUFFER_MAX(512);
    yyjson_val *list = json_at(object, "metadata.finalizers"), *one;
    size_t i, n;

    yyjson_arr_foreach (list, i, n, one) {
        if (!yyjson_equals_str(one, DEVICE_FINALIZER))
            buffer_printf(&names, "%s%s", names.n ? ", " : "", yyjson_get_str(one));
    }
    if (e->phase != PHASE_STOPPED)
        environment_enter(e, PHASE_STOPPED, 0);
    environment_set(e, PHASE_STOPPED, "HeldByFinalizers",
                    "its container is stopped and removed; the object is kept by the finalizers %s",
                    names.n ? buffer_str(&names).p : "of others");
}

void environment_stop(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    struct object_ref ref = {PLURAL_DEVICES, e->name, e->uid};

    if (e->phase != PHASE_STOPPING && e->phase != PHASE_STOPPED) {
        environment_enter(e, PHASE_STOPPING, limits.stopping_seconds);
        bool idle = streq(d->reason, "Idle");
        environment_set(e, PHASE_STOPPING, idle ? "Idle" : "Deleted", "%s",
                        idle && d->message ? d->message : "its container is being stopped");
    }
    if (!take_away(es, e, &err)) {
        if (environments_stopping(es))
            return;
        const char *reason = err->reason == REASON_SERVICE_UNAVAILABLE ? "EngineUnavailable"
                             : environment_late(e)                     ? "StopTimeout"
                                                                       : "Deleted";
        environment_set(e, PHASE_STOPPING, reason, "%s; trying again", err->message);
        status_write(es, e, object);
        environment_retry(es, e);
        return;
    }
    if (d->held_by_others) {
        say_stopped(e, object);
        status_write(es, e, object);
    }
    if (!d->has_finalizer)
        return;
    if (client_remove_finalizer(es->client, &ref, DEVICE_FINALIZER, &err) < 0) {
        log_warning("%s: %s", e->name, err->message);
        environment_retry(es, e);
    }
}

void environment_vanish(struct environments *es, struct environment *e)
{
    _cleanup_error_ struct error *err = NULL;

    if (take_away(es, e, &err)) {
        environment_forget(es, e);
        return;
    }
    if (!environments_stopping(es))
        environment_retry(es, e);
}
