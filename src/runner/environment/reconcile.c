#include "runner/environment/reconcile.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runner/environment/health.h"
#include "runner/environment/home_quota.h"
#include "runner/environment/image.h"
#include "runner/environment/in_use.h"
#include "runner/environment/look.h"
#include "runner/environment/lost.h"
#include "runner/environment/safe_mode.h"
#include "runner/environment/start.h"
#include "runner/environment/status.h"
#include "runner/environment/stop.h"

/* --- The next step --- */

static bool take_turn(struct environments *es, struct environment *e)
{
    unsigned before;

    if (turns_take(es->turns, e->name, &before))
        return true;
    /* What failed for want of an image stays so until it is looked for again. */
    if (e->phase == PHASE_QUEUED)
        environment_set(e, PHASE_QUEUED, "WaitingForOthers", "%u %s started first", before,
                        before == 1 ? "other is" : "others are");
    queue_add_after(es->queue, e->name, TURNS_ASK_MS);
    return false;
}

/* False: nothing is started now, and its status says why. What counts up and down is said once. */
static bool has_room(struct environments *es, struct environment *e)
{
    _cleanup_free_ char *why = es->runtime->ops->no_room(es->runtime);

    if (why == NULL)
        return true;
    if (!streq(e->reason, "DiskFull")) {
        log_warning("%s: %s", e->name, why);
        environment_set(e, PHASE_QUEUED, "DiskFull", "%s", why);
    }
    queue_add_after(es->queue, e->name, limits.disk_full_seconds * 1000);
    return false;
}

/* Started from nothing, or once more after its end. */
static void start_or_wait(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object)
{
    int64_t wait = e->not_before_us - clock_monotonic_us();

    if (wait > 0) {
        queue_add_after(es->queue, e->name, (unsigned)(wait / 1000) + 1);
        return;
    }
    if (d->port == 0 || d->waits) /* the server says why: no port is left, or no GPU is free */
        return;
    /* What an earlier runner was at begins anew; what this one is at goes on, in its time. */
    bool at_it = (e->phase == PHASE_PREPARING || e->phase == PHASE_STARTING) && e->deadline_us != INT64_MAX;
    if (environment_awaits_image(es, e, d, object))
        return;
    bool once_more = e->not_before_us != 0; /* it has ended: for want of room, perhaps */
    if (!at_it && e->phase != PHASE_FAILED)
        e->phase = PHASE_QUEUED;
    e->not_before_us = 0;
    if (((at_it && !once_more) || (has_room(es, e) && environment_homes_allow(es, e, d))) &&
        (at_it || take_turn(es, e)))
        environment_start(es, e, d, object);
}

static void say_engine_away(struct environment *e, const char *message)
{
    if (e->phase == PHASE_RUNNING || e->phase == PHASE_FAILED)
        return;
    environment_set(e, e->phase, "EngineUnavailable", "%s", message);
    if (e->deadline_us != INT64_MAX)
        environment_enter(e, e->phase, limits.starting_seconds); /* its time begins anew with the engine */
}

static void next_step(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_free_ char *message = NULL;

    if (e->settled && e->container == CONTAINER_UNKNOWN && engine_is_up(es, NULL))
        environment_clear_away(es, e);
    if (e->settled)
        return;
    if (!engine_is_up(es, &message)) {
        say_engine_away(e, message);
        return;
    }
    if (!environment_look(es, e) || e->settled)
        return;
    if (e->container != CONTAINER_RUNNING)
        start_or_wait(es, e, d, object);
    else if (!environment_lives(es, e, clock_monotonic_us()))
        return;
    else if (e->phase == PHASE_RUNNING)
        environment_running(es, e, object);
    else
        environment_await(es, e, object);
    if (e->phase != PHASE_RUNNING || e->container != CONTAINER_RUNNING)
        return;
    environment_watch_use(es, e, d);
    environment_end_unused(es, e, object);
}

/* Names go into paths and addresses: what is no name is left alone. */
static bool is_sane(const struct device *d)
{
    return d->uid && is_plain_id(str_from(d->uid)) && d->name && is_dns_subdomain(str_from(d->name));
}

/* Failures that may pass by themselves. */
static bool heals(const char *reason)
{
    return streq(reason, "ImageMissing") || streq(reason, "ImagePullFailed") || streq(reason, "SandboxMissing") ||
           streq(reason, HOME_OVER_QUOTA);
}

static void read_status(struct environment *e, yyjson_val *object)
{
    const char *started = json_str_at(object, "status.startedAt");
    yyjson_val *log = json_at(object, "status.log"), *v;
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);
    size_t i, max;

    if (started && timestamp_parse(str_from(started), &e->started_us) < 0)
        e->started_us = 0;
    e->restarts = (unsigned)json_int_at(object, "status.restarts", 0);
    yyjson_arr_foreach (log, i, max, v) {
        if (yyjson_is_str(v))
            buffer_printf(&text, "%s%s", text.n ? "\n" : "", yyjson_get_str(v));
    }
    e->log = text.n ? buffer_steal(&text) : NULL;
    e->settled = e->phase == PHASE_FAILED && !heals(e->reason);
    environment_read_safe(e, object);
}

static void note_seen(struct environments *es, struct environment *e, yyjson_val *object)
{
    unsigned restored = informer_restored(es->devices);

    if (e->restored != restored) { /* what was written is not there any more */
        e->written = 0;
        e->dirty = true;
    }
    e->restored = restored;
    e->revision = object_version(object);
    set_lost_uid(es, e->uid, false);
}

static void reconcile_name(struct environments *es, const char *name)
{
    _cleanup_cached_ struct cached *cached = informer_get(es->devices, name);
    struct environment *e = environment_find(es, name);
    struct device d = {0};

    if (cached)
        device_read(cached->object, &d);
    if (cached && !is_sane(&d)) {
        log_warning("device \"%s\" has no usable name or uid: left alone", name);
        return;
    }
    if (e && cached == NULL && !e->gone && !is_lost_uid(es, e->uid) && !device_is_gone(es, e->name, e->uid)) {
        queue_add_after(es->queue, e->name, limits.check_seconds * 1000);
        return;
    }
    if (e && cached == NULL && environment_is_lost(es, e))
        return;
    if (e && (cached == NULL || !streq(e->uid, d.uid))) {
        environment_vanish(es, e);
        e = environment_find(es, name);
        if (e)
            return;
    }
    if (cached == NULL) {
        kept_may_be_gone(es);
        return;
    }
    if (e == NULL) {
        e = environment_make(es, &d);
        e->restored = informer_restored(es->devices);
        read_status(e, cached->object);
    }
    note_seen(es, e, cached->object);
    if (d.deleting) {
        environment_stop(es, e, &d, cached->object);
        return;
    }
    environment_follow_homes(es, e, &d, cached->object);
    next_step(es, e, &d, cached->object);
    if (!environments_stopping(es))
        status_write(es, e, cached->object);
}

void reconcile(struct environments *es, const char *name)
{
    reconcile_name(es, name);
    const struct environment *e = environment_find(es, name);
    if (e == NULL || (e->phase != PHASE_QUEUED && e->phase != PHASE_PREPARING && e->phase != PHASE_STARTING))
        turns_leave(es->turns, name);
}
