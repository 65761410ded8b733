#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "runner/environment/internal.h"

#define TOKEN_BYTES 32

static double seconds_since(int64_t us)
{
    return (double)(clock_monotonic_us() - us) / 1e6;
}

/* --- failing -------------------------------------------------------------------------------------------------- */

void environment_clear_away(struct controller *c, struct environment *e)
{
    _cleanup_error_ struct error *err = NULL;

    e->met = false;
    e->container = CONTAINER_ABSENT;
    if (environment_remove(c->o.runtime, c->o.environments, e->uid, limits.stop_grace_seconds, &err) == 0) {
        pulses_drop(c->pulses, e->name, true);
        return;
    }
    e->container = CONTAINER_UNKNOWN; /* tried again, see step() */
    if (stop_said(client_stop_fd(c->o.client)))
        return;
    log_warning("%s: %s", e->name, err->message);
    retry(c, e);
}

void environment_fail(struct controller *c, struct environment *e, const char *reason, const char *message,
                      bool settled)
{
    if (e->log == NULL && e->container == CONTAINER_RUNNING)
        e->log = environment_log(c, e);
    environment_clear_away(c, e);
    if (!streq(e->reason, reason))
        log_warning("%s: %s: %s", e->name, reason, message);
    environment_set(e, PHASE_FAILED, reason, "%s", message);
    e->settled = settled;
    if (settled)
        return;
    queue_add_after(c->queue, e->name, limits.image_missing_seconds * 1000);
}

static bool is_disk_full(const struct error *err)
{
    return strcasestr(err->message, "no space left on device") != NULL ||
           strcasestr(err->message, "disk quota exceeded") != NULL;
}

void environment_stumble(struct controller *c, struct environment *e, const char *reason, const struct error *err)
{
    bool away = err->reason == REASON_SERVICE_UNAVAILABLE;

    if (stop_said(client_stop_fd(c->o.client)))
        return;
    if (away)
        reason = "EngineUnavailable";
    else if (is_disk_full(err))
        reason = "DiskFull";
    if (!away && environment_late(e)) {
        environment_fail(c, e, reason, err->message, true);
        return;
    }
    if (e->phase != PHASE_FAILED)
        environment_set(e, e->phase, reason, "%s; trying again", err->message);
    unsigned pause = retry(c, e);
    /* The status that says so comes back as an event, which must not be the next try. An engine that was away and comes
     * is one. */
    if (!away)
        e->not_before_us = clock_monotonic_us() + (int64_t)pause * 1000;
}

/* --- from nothing to a started container ---------------------------------------------------------------------- */

static void note_waiting(struct environment *e, yyjson_val *object)
{
    const char *created = json_str_at(object, "metadata.creationTimestamp");
    int64_t at;

    if (e->timings[TIMING_QUEUED] >= 0 || e->phase != PHASE_QUEUED)
        return;
    /* The API's times are whole seconds: what waited shortly was seen to come. */
    e->timings[TIMING_QUEUED] = seconds_since(e->seen_us);
    if (created && timestamp_parse(str_from(created), &at) == 0 && clock_realtime_us() - at > 2000000)
        e->timings[TIMING_QUEUED] = (double)(clock_realtime_us() - at) / 1e6;
}

static void enter_preparing(struct controller *c, struct environment *e, yyjson_val *object)
{
    if (e->phase == PHASE_PREPARING && e->deadline_us != INT64_MAX)
        return;
    note_waiting(e, object);
    environment_enter(e, PHASE_PREPARING, limits.preparing_seconds);
    environment_set(e, PHASE_PREPARING, "Preparing", "looking for the image, making home and socket directory");
    status_write(c, e, object);
}

/* 1: there, 0: it is not and the status says so. */
static int find_sandbox(struct controller *c, struct environment *e, const struct device *d, struct cached **out)
{
    *out = d->sandbox ? informer_get(c->sandboxes, d->sandbox) : NULL;
    if (*out)
        return 1;
    if (!informer_synced(c->sandboxes)) {
        queue_add_after(c->queue, e->name, 100);
        return 0;
    }
    _cleanup_free_ char *message = xasprintf("there is no sandbox \"%s\"", d->sandbox ? d->sandbox : "");
    environment_fail(c, e, "SandboxMissing", message, false);
    return 0;
}

static int find_image(struct controller *c, struct environment *e, const char *image)
{
    _cleanup_error_ struct error *err = NULL;
    int there = c->o.runtime->ops->image_present(c->o.runtime, image, &err);

    if (there < 0)
        environment_stumble(c, e, "EngineError", err);
    if (there != 0)
        return there;
    _cleanup_free_ char *message =
        xasprintf("the engine has no image %s: build or load it (images/build), or name another in the sandbox; "
                  "looked for again every %u s",
                  image, limits.image_missing_seconds);
    environment_fail(c, e, "ImageMissing", message, false);
    return 0;
}

static void make_token(struct environment *e)
{
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->token);
    e->token = random_token(TOKEN_BYTES);
    e->endpoint_epoch = 0;
}

static void create_failed(struct controller *c, struct environment *e, const struct error *err)
{
    e->container = CONTAINER_UNKNOWN;
    if (err->reason == REASON_INVALID && !is_disk_full(err))
        environment_fail(c, e, "EngineRefused", err->message, true);
    else
        environment_stumble(c, e, "EngineError", err);
}

static void launch(struct controller *c, struct environment *e, const struct runtime_spec *spec, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;

    if (e->phase != PHASE_STARTING) {
        e->timings[TIMING_PREPARING] = seconds_since(e->phase_since_us);
        environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    }
    environment_set(e, PHASE_STARTING, "Starting", "the container is being started");
    status_write(c, e, object);
    /* The engine answers «conflict» where an earlier try, or an earlier runner, made it with another token and other
     * mounts. */
    if (c->o.runtime->ops->remove(c->o.runtime, e->uid, 0, &err) < 0 ||
        c->o.runtime->ops->ensure(c->o.runtime, spec, &err) < 0) {
        create_failed(c, e, err);
        return;
    }
    e->failures = 0;
    e->container = CONTAINER_RUNNING;
    e->met = true;
    environment_await(c, e, object);
}

void environment_start(struct controller *c, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_cached_ struct cached *cached = NULL;
    _cleanup_error_ struct error *err = NULL;
    struct runtime_facts facts;
    const char *reason = NULL;
    struct sandbox s;

    /* What failed for want of an image stays so until there is one. */
    if (e->phase != PHASE_STARTING && e->phase != PHASE_FAILED)
        enter_preparing(c, e, object);
    if (!find_sandbox(c, e, d, &cached))
        return;
    sandbox_read(cached->object, &s);
    if (c->o.runtime->ops->facts(c->o.runtime, &facts, &err) < 0) {
        environment_stumble(c, e, "EngineError", err);
        return;
    }
    if (s.image && find_image(c, e, s.image) <= 0)
        return;
    if (e->phase == PHASE_FAILED)
        enter_preparing(c, e, object);
    make_token(e);
    const struct runtime_spec *spec = spec_make(c, a, e, d, &s, &facts, &reason, &err);
    if (spec == NULL && (err->reason == REASON_INTERNAL || err->reason == REASON_SERVICE_UNAVAILABLE))
        environment_stumble(c, e, reason, err);
    else if (spec == NULL)
        environment_fail(c, e, reason, err->message, true);
    else
        launch(c, e, spec, object);
}

/* --- until it answers, and then ------------------------------------------------------------------------------- */

static void tell_endpoint(struct controller *c, struct environment *e)
{
    uint64_t epoch = server_epoch(c);
    _cleanup_error_ struct error *err = NULL;
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    _cleanup_free_ char *path = xasprintf("devices/%s/endpoint", e->name);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    if (e->endpoint_epoch == epoch || e->token == NULL || e->socket == NULL)
        return;
    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "deviceUid", e->uid);
    json_mut_set_str(doc, root, "socket", e->socket);
    json_mut_set_str(doc, root, "token", e->token);
    if (client_call(c->o.client, &(struct client_request){"PUT", path, NULL, doc}, NULL, &err) == 0) {
        e->endpoint_epoch = epoch;
        return;
    }
    if (err->reason == REASON_NOT_FOUND || err->reason == REASON_CONFLICT)
        return; /* deleted meanwhile */
    if (err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("%s: the server took no endpoint: %s", e->name, err->message);
    retry(c, e);
}

static void start_timed_out(struct controller *c, struct environment *e)
{
    _cleanup_free_ char *message = xasprintf("it did not answer within %u s after its start", limits.starting_seconds);
    environment_fail(c, e, "StartTimeout", message, true);
}

void environment_await(struct controller *c, struct environment *e, yyjson_val *object)
{
    tell_endpoint(c, e);
    if (!probe_answers(e->socket, e->readiness_path, client_stop_fd(c->o.client))) {
        if (environment_late(e))
            start_timed_out(c, e);
        else
            queue_add_after(c->queue, e->name, probe_pause_ms(clock_monotonic_us() - e->phase_since_us));
        return;
    }
    if (e->phase == PHASE_STARTING)
        e->timings[TIMING_STARTING] = seconds_since(e->phase_since_us);
    if (e->started_us == 0)
        e->started_us = clock_realtime_us();
    environment_enter(e, PHASE_RUNNING, 0);
    log_info("%s: running after %.2f s", e->name, seconds_since(e->seen_us));
    environment_running(c, e, object);
}

void environment_running(struct controller *c, struct environment *e, yyjson_val *object)
{
    tell_endpoint(c, e);
    pulses_watch(c->pulses, e->name, e->socket, e->readiness_path);
    environment_say_health(c, e);
}
