#include "runner/environment/start.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "kinds/names.h"
#include "runner/environment/ended.h"
#include "runner/environment/failed.h"
#include "runner/environment/health.h"
#include "runner/environment/image.h"
#include "runner/environment/probe.h"
#include "runner/environment/shortage.h"
#include "runner/environment/spec.h"
#include "runner/environment/status.h"

#define TOKEN_BYTES 32

/* --- From nothing to a started container --- */

static void enter_preparing(struct environments *es, struct environment *e, yyjson_val *object)
{
    if (e->phase == PHASE_PREPARING && e->deadline_us != INT64_MAX)
        return;
    environment_note_waiting(e, object);
    environment_enter(e, PHASE_PREPARING, limits.preparing_seconds);
    environment_set(e, PHASE_PREPARING, "Preparing", "looking for the image, making home and socket directory");
    status_write(es, e, object);
}

/* 1: there, 0: it is not and the status says so. */
static int find_sandbox(struct environments *es, struct environment *e, const struct device *d, struct cached **out)
{
    *out = d->sandbox ? informer_get(es->sandboxes, d->sandbox) : NULL;
    if (*out)
        return 1;
    if (!informer_synced(es->sandboxes)) {
        queue_add_after(es->queue, e->name, 100);
        return 0;
    }
    _cleanup_free_ char *message = xasprintf("there is no sandbox \"%s\"", d->sandbox ? d->sandbox : "");
    environment_fail(es, e, "SandboxMissing", message, false);
    return 0;
}

static void make_token(struct environment *e)
{
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->token);
    e->token = random_token(TOKEN_BYTES);
    e->told_epoch = 0;
}

static char *join_ids(const struct runtime_spec *spec)
{
    struct buffer list = BUFFER_MAX(65536);

    for (size_t i = 0; i < spec->gpus_len; i++)
        buffer_printf(&list, "%s%s", i ? "," : "", spec->gpus[i]);
    return list.n ? buffer_steal(&list) : NULL;
}

static void launch(struct environments *es, struct environment *e, const struct runtime_spec *spec, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_instance_ struct instance made = {0};

    if (e->phase != PHASE_STARTING) {
        e->timings[TIMING_PREPARING] = clock_seconds_since(e->phase_since_us);
        environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    }
    environment_set(e, PHASE_STARTING, "Starting", "the container is being started");
    status_write(es, e, object);
    /* The engine answers «conflict» where an earlier try, or an earlier runner, made it with another token and other
     * mounts. */
    if (es->runtime->ops->end(es->runtime, e->instance, 0, &err) < 0 ||
        es->runtime->ops->ensure(es->runtime, spec, &made, &err) < 0) {
        environment_not_made(es, e, err);
        return;
    }
    environment_take_endpoints(e, &made);
    free(e->readiness_path);
    e->readiness_path = xstrdup(spec->ports[0].ready);
    e->shm_bytes = runtime_scratch_bytes(spec, SCRATCH_SHM);
    e->tmp_bytes = runtime_scratch_bytes(spec, SCRATCH_TMP);
    e->processes = spec->pids;
    environment_count_anew(e);
    e->failures = 0;
    e->container = CONTAINER_RUNNING;
    free(e->gpus);
    e->gpus = join_ids(spec);
    e->met = true;
    environment_await(es, e, object);
}

/* It holds nobody's turn meanwhile, and its time begins anew with each look: what takes long says how far it is. */
static void await_prepared(struct environments *es, struct environment *e, const char *reason, const char *progress)
{
    int64_t now = clock_monotonic_us();

    turns_leave(es->turns, e->name);
    e->deadline_us = now + (int64_t)limits.preparing_seconds * 1000000;
    e->not_before_us = now + (int64_t)limits.prepared_poll_ms * 1000; /* the status that says so is no reason to look */
    environment_set(e, PHASE_PREPARING, reason, "%s", progress);
    queue_add_after(es->queue, e->name, limits.prepared_poll_ms);
}

static void note_kept_apart(struct environment *e, const struct runtime_spec *spec)
{
    if (spec == NULL || spec->kept_apart == NULL)
        return;
    log_warning("%s: %s", e->name, spec->kept_apart);
    free(e->kept_apart);
    e->kept_apart = xstrdup(spec->kept_apart);
}

void environment_start(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_cached_ struct cached *cached = NULL;
    _cleanup_error_ struct error *err = NULL;
    struct runtime_facts facts;
    const char *reason = NULL;
    struct sandbox s;

    assert(e->container != CONTAINER_RUNNING);
    /* What failed for want of an image stays so until there is one. */
    if (e->phase != PHASE_STARTING && e->phase != PHASE_FAILED)
        enter_preparing(es, e, object);
    if (!find_sandbox(es, e, d, &cached))
        return;
    sandbox_read(cached->object, &s);
    if (es->runtime->ops->facts(es->runtime, &facts, &err) < 0) {
        environment_stumble(es, e, "EngineError", err);
        return;
    }
    const char *image = device_image(d, &s);
    if (image && environment_find_image(es, e, image, object) <= 0)
        return;
    if (e->phase == PHASE_FAILED)
        enter_preparing(es, e, object);
    make_token(e);
    struct runtime_spec *spec = spec_make(es, a, e, d, &s, &facts, &reason, &err);
    int prepared = spec ? es->runtime->ops->prepare(es->runtime, a, spec, &reason, &err) : -1;
    note_kept_apart(e, spec);
    if (prepared == 0)
        launch(es, e, spec, object);
    else if (prepared > 0)
        await_prepared(es, e, reason, spec->progress);
    else if (err->reason == REASON_INTERNAL || err->reason == REASON_SERVICE_UNAVAILABLE)
        environment_stumble(es, e, reason, err);
    else
        environment_fail(es, e, reason, err->message, true);
}

/* --- Until it answers, and then --- */

static yyjson_mut_doc *endpoint_document(const struct environment *e)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "deviceUid", e->uid);
    for (size_t i = 0; i < e->endpoints_len; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);
        json_mut_set_str(doc, one, "name", e->endpoints[i].name);
        json_mut_set_str(doc, one, "address", e->endpoints[i].address);
        json_mut_set_str(doc, one, "token", e->token);
    }
    json_mut_set(doc, root, "endpoints", list);
    return doc;
}

static void tell_endpoints(struct environments *es, struct environment *e)
{
    uint64_t epoch = server_epoch(es);
    _cleanup_error_ struct error *err = NULL;
    _cleanup_json_mut_ yyjson_mut_doc *doc = NULL;
    _cleanup_free_ char *path = xasprintf(PLURAL_DEVICES "/%s/endpoint", e->name);

    if (e->told_epoch == epoch || e->token == NULL || e->endpoints_len == 0)
        return;
    doc = endpoint_document(e);
    if (client_call(es->client, &(struct client_request){"PUT", path, NULL, doc}, NULL, &err) == 0) {
        e->told_epoch = epoch;
        return;
    }
    if (err->reason == REASON_NOT_FOUND || err->reason == REASON_CONFLICT)
        return; /* deleted meanwhile */
    if (err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("%s: the server took no endpoint: %s", e->name, err->message);
    environment_retry(es, e);
}

/* Not yet: the runtime tells of an address by an event, of an answer nobody does. */
static bool answers_by_now(struct environments *es, const struct environment *e)
{
    const char *address = environment_address(e);
    return address && probe_answers(address, e->readiness_path, client_stop_fd(es->client));
}

static void start_timed_out(struct environments *es, struct environment *e)
{
    _cleanup_free_ char *message = xasprintf("it did not answer within %u s after its start", limits.starting_seconds);

    if (e->safe_reason == NULL && environment_may_restart(e, clock_monotonic_us()))
        environment_ended(es, e, NULL, message);
    else
        environment_fail(es, e, "StartTimeout", message, true);
}

void environment_await(struct environments *es, struct environment *e, yyjson_val *object)
{
    assert(e->container == CONTAINER_RUNNING && e->phase != PHASE_RUNNING);
    tell_endpoints(es, e);
    if (!answers_by_now(es, e)) {
        if (environment_late(e))
            start_timed_out(es, e);
        else
            queue_add_after(es->queue, e->name, probe_pause_ms(clock_monotonic_us() - e->phase_since_us));
        return;
    }
    if (e->phase == PHASE_STARTING)
        e->timings[TIMING_STARTING] = clock_seconds_since(e->phase_since_us);
    if (e->started_us == 0)
        e->started_us = clock_realtime_us();
    environment_enter(e, PHASE_RUNNING, 0);
    log_info("%s: running after %.2f s", e->name, clock_seconds_since(e->seen_us));
    environment_running(es, e, object);
}

void environment_running(struct environments *es, struct environment *e, yyjson_val *object)
{
    assert(e->container == CONTAINER_RUNNING && e->phase == PHASE_RUNNING);
    tell_endpoints(es, e);
    if (environment_address(e))
        pulses_watch(es->pulses, e->name, environment_address(e), e->readiness_path);
    environment_note_shortage(es, e, object, clock_realtime_us());
    environment_say_health(es, e);
}
