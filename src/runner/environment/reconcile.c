#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/environment/disk.h"
#include "runner/environment/internal.h"

unsigned retry(struct controller *c, struct environment *e)
{
    unsigned ms = limits.retry_first_ms << (e->failures > 7 ? 7 : e->failures);

    if (ms > limits.retry_longest_ms)
        ms = limits.retry_longest_ms;
    e->failures++;
    queue_add_after(c->queue, e->name, ms);
    return ms;
}

/* --- going away ----------------------------------------------------------------------------------------------- */

static bool take_away(struct controller *c, struct environment *e, struct error **err)
{
    if (e->gone)
        return true;
    if (environment_remove(c->o.runtime, c->o.environments, e->uid, limits.stop_grace_seconds, err) < 0)
        return false;
    e->gone = true;
    pulses_drop(c->pulses, e->name, true);
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

static void stop(struct controller *c, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    struct object_ref ref = {PLURAL_DEVICES, e->name, e->uid};

    if (e->phase != PHASE_STOPPING && e->phase != PHASE_STOPPED) {
        environment_enter(e, PHASE_STOPPING, limits.stopping_seconds);
        environment_set(e, PHASE_STOPPING, "Deleted", "its container is being stopped");
    }
    if (!take_away(c, e, &err)) {
        if (stop_said(client_stop_fd(c->o.client)))
            return;
        const char *reason = err->reason == REASON_SERVICE_UNAVAILABLE ? "EngineUnavailable"
                             : environment_late(e)                     ? "StopTimeout"
                                                                       : "Deleted";
        environment_set(e, PHASE_STOPPING, reason, "%s; trying again", err->message);
        status_write(c, e, object);
        retry(c, e);
        return;
    }
    if (d->held_by_others) {
        say_stopped(e, object);
        status_write(c, e, object);
    }
    if (!d->has_finalizer)
        return;
    if (client_remove_finalizer(c->o.client, &ref, DEVICE_FINALIZER, &err) < 0) {
        log_warning("%s: %s", e->name, err->message);
        retry(c, e);
    }
}

/* The device is gone without having waited for us: its finalizer was taken off by somebody else. */
static void vanish(struct controller *c, struct environment *e)
{
    _cleanup_error_ struct error *err = NULL;

    if (take_away(c, e, &err)) {
        environment_forget(c, e);
        return;
    }
    if (!stop_said(client_stop_fd(c->o.client)))
        retry(c, e);
}

/* --- what is there -------------------------------------------------------------------------------------------- */

/* What a runner before this one started: container and environment variables say the rest. */
static bool adopt(struct controller *c, struct environment *e, struct instance *i)
{
    _cleanup_cached_ struct cached *cached = e->sandbox ? informer_get(c->sandboxes, e->sandbox) : NULL;
    const char *name = i->socket ? strrchr(i->socket, '/') : NULL;
    struct sandbox s = {.readiness_path = "/"};

    if (e->token == NULL)
        e->token = steal_ptr(i->token);
    if (e->token == NULL || (e->socket == NULL && name == NULL))
        return false;
    if (e->socket)
        return true;
    if (cached)
        sandbox_read(cached->object, &s);
    e->socket = xasprintf("%s/%s%s", c->o.environments, e->place, name);
    free(e->readiness_path);
    e->readiness_path = xstrdup(s.readiness_path);
    return true;
}

static void take_running(struct controller *c, struct environment *e, struct instance *i)
{
    if (!adopt(c, e, i) || !place_has_socket(c->o.environments, e->place)) {
        environment_ended(c, e, NULL, "its socket directory was lost");
        return;
    }
    e->container = CONTAINER_RUNNING;
    /* Without root there is one range for all. */
    pulses_process(c->pulses, e->name, i->pid, e->host_id, geteuid() == 0 ? c->o.config->host_id_size : 0);
    e->dirty |= e->unsupervised != i->unsupervised;
    e->unsupervised = i->unsupervised;
    if (e->paused || i->paused)
        e->paused_us = clock_monotonic_us();
    e->paused = i->paused;
    if (!e->met && e->phase == PHASE_RUNNING)
        log_info("%s: adopted", e->name);
    if (!e->met && e->phase != PHASE_RUNNING) /* started by the runner before this one: it has its whole time again */
        environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    e->met = true;
}

/* Not running and not seen running by this process: left half made by a kill, or by a restart of the machine. */
static void take_stopped(struct controller *c, struct environment *e, const struct instance *i)
{
    if (e->met && i->state == INSTANCE_ENDED) {
        environment_ended(c, e, i, NULL);
        return;
    }
    e->container = CONTAINER_ABSENT;
}

static void take_absent(struct controller *c, struct environment *e)
{
    if (e->met)
        environment_ended(c, e, NULL, "its container was removed from outside");
    else
        e->container = CONTAINER_ABSENT;
}

/* False: it could not be found out; tried again later. */
static bool look(struct controller *c, struct environment *e)
{
    _cleanup_instance_ struct instance i = {0};
    _cleanup_error_ struct error *err = NULL;

    if (!take_look(c, e) && e->container != CONTAINER_UNKNOWN)
        return true;
    if (c->o.runtime->ops->inspect(c->o.runtime, e->uid, &i, &err) == 0) {
        if (i.started_us && e->started_us == 0 && e->phase == PHASE_RUNNING)
            e->started_us = i.started_us;
        if (i.state == INSTANCE_RUNNING)
            take_running(c, e, &i);
        else
            take_stopped(c, e, &i);
        return true;
    }
    if (err->reason == REASON_NOT_FOUND) {
        take_absent(c, e);
        return true;
    }
    e->container = e->container == CONTAINER_RUNNING ? CONTAINER_RUNNING : CONTAINER_UNKNOWN;
    {
        LOCK_SCOPE(&c->lock);
        e->look = true;
    }
    if (e->phase == PHASE_RUNNING) /* nothing is known to be wrong with it */
        retry(c, e);
    else
        environment_stumble(c, e, "EngineError", err);
    return false;
}

/* --- the next step -------------------------------------------------------------------------------------------- */

static bool take_turn(struct controller *c, struct environment *e)
{
    unsigned before;

    if (turns_take(c->turns, e->name, &before))
        return true;
    /* What failed for want of an image stays so until it is looked for again. */
    if (e->phase == PHASE_QUEUED)
        environment_set(e, PHASE_QUEUED, "WaitingForOthers", "%u %s started first", before,
                        before == 1 ? "other is" : "others are");
    queue_add_after(c->queue, e->name, TURNS_ASK_MS);
    return false;
}

/* False: nothing is started now, and its status says why. What counts up and down is said once. */
static bool has_room(struct controller *c, struct environment *e)
{
    _cleanup_free_ char *why = disk_full(c->o.config);

    if (why == NULL)
        return true;
    if (!streq(e->reason, "DiskFull")) {
        log_warning("%s: %s", e->name, why);
        environment_set(e, PHASE_QUEUED, "DiskFull", "%s", why);
    }
    queue_add_after(c->queue, e->name, limits.disk_full_seconds * 1000);
    return false;
}

/* Started from nothing, or once more after its end. */
static void begin(struct controller *c, struct environment *e, const struct device *d, yyjson_val *object)
{
    int64_t wait = e->not_before_us - clock_monotonic_us();

    if (wait > 0) {
        queue_add_after(c->queue, e->name, (unsigned)(wait / 1000) + 1);
        return;
    }
    if (d->port == 0) /* the server says why: no port is left */
        return;
    /* What an earlier runner was at begins anew; what this one is at goes on, in its time. */
    bool at_it = (e->phase == PHASE_PREPARING || e->phase == PHASE_STARTING) && e->deadline_us != INT64_MAX;
    bool once_more = e->not_before_us != 0; /* it has ended: for want of room, perhaps */
    if (!at_it && e->phase != PHASE_FAILED)
        e->phase = PHASE_QUEUED;
    e->not_before_us = 0;
    if (((at_it && !once_more) || has_room(c, e)) && (at_it || take_turn(c, e)))
        environment_start(c, e, d, object);
}

static void say_engine_away(struct environment *e, const char *message)
{
    if (e->phase == PHASE_RUNNING || e->phase == PHASE_FAILED)
        return;
    environment_set(e, e->phase, "EngineUnavailable", "%s", message);
    if (e->deadline_us != INT64_MAX)
        environment_enter(e, e->phase, limits.starting_seconds); /* its time begins anew with the engine */
}

static void step(struct controller *c, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_free_ char *message = NULL;

    if (e->settled && e->container == CONTAINER_UNKNOWN && engine_is_up(c, NULL))
        environment_clear_away(c, e);
    if (e->settled)
        return;
    if (!engine_is_up(c, &message)) {
        say_engine_away(e, message);
        return;
    }
    if (!look(c, e) || e->settled)
        return;
    if (e->container != CONTAINER_RUNNING)
        begin(c, e, d, object);
    else if (!environment_lives(c, e, clock_monotonic_us()))
        return;
    else if (e->phase == PHASE_RUNNING)
        environment_running(c, e, object);
    else
        environment_await(c, e, object);
}

static bool is_uid(const char *s)
{
    size_t n = s ? strlen(s) : 0;

    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!ascii_isalnum(s[i]) && s[i] != '-')
            return false;
    return true;
}

/* Names go into paths and addresses: what is no name is left alone. */
static bool is_sane(const struct device *d)
{
    return is_uid(d->uid) && d->name && is_dns_subdomain(str_from(d->name));
}

/* Failures that may pass by themselves. */
static bool heals(const char *reason)
{
    return streq(reason, "ImageMissing") || streq(reason, "SandboxMissing");
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
}

/* What is missing in a store that has not yet come to where it was last seen was deleted by nobody: an older store was
 * put back, or an empty one. It goes on, though nobody is let in, until a store that knows it is there again, or `down`
 * removes it. */
static bool is_lost(struct controller *c, struct environment *e)
{
    uint64_t at = informer_revision(c->devices);
    uint64_t seen = e->revision > e->written ? e->revision : e->written;

    if (is_lost_uid(c, e->uid))
        return true;
    if (e->gone || at == 0 || at > seen)
        return false;
    log_warning("%s: the server's store went back to revision %llu, from before it, and lost its device: left alone",
                e->name, (unsigned long long)at);
    set_lost_uid(c, e->uid, true);
    return true;
}

static void note_seen(struct controller *c, struct environment *e, yyjson_val *object)
{
    unsigned restored = informer_restored(c->devices);

    if (e->restored != restored) { /* what was written is not there any more */
        e->written = 0;
        e->dirty = true;
    }
    e->restored = restored;
    e->revision = object_version(object);
    set_lost_uid(c, e->uid, false);
}

static void work_on(struct controller *c, const char *name)
{
    _cleanup_cached_ struct cached *cached = informer_get(c->devices, name);
    struct environment *e = environment_find(c, name);
    struct device d = {0};

    if (cached)
        device_read(cached->object, &d);
    if (cached && !is_sane(&d)) {
        log_warning("device \"%s\" has no usable name or uid: left alone", name);
        return;
    }
    if (e && cached == NULL && !e->gone && !is_lost_uid(c, e->uid) && !device_is_gone(c, e->name, e->uid)) {
        queue_add_after(c->queue, e->name, limits.check_seconds * 1000);
        return;
    }
    if (e && cached == NULL && is_lost(c, e))
        return;
    if (e && (cached == NULL || !streq(e->uid, d.uid))) {
        vanish(c, e);
        e = environment_find(c, name);
        if (e)
            return;
    }
    if (cached == NULL) {
        kept_may_be_gone(c);
        return;
    }
    if (e == NULL) {
        e = environment_make(c, &d);
        e->restored = informer_restored(c->devices);
        read_status(e, cached->object);
    }
    note_seen(c, e, cached->object);
    if (d.deleting) {
        stop(c, e, &d, cached->object);
        return;
    }
    step(c, e, &d, cached->object);
    if (!stop_said(client_stop_fd(c->o.client)))
        status_write(c, e, cached->object);
}

void reconcile(struct controller *c, const char *name)
{
    work_on(c, name);
    const struct environment *e = environment_find(c, name);
    if (e == NULL || (e->phase != PHASE_QUEUED && e->phase != PHASE_PREPARING && e->phase != PHASE_STARTING))
        turns_leave(c->turns, name);
}
