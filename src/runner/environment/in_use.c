#include "runner/environment/in_use.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "kinds/names.h"
#include "kinds/sandbox.h"

#define SECOND INT64_C(1000000)
#define MEMORY_STEP (UINT64_C(16) << 20)

/* --- Watching --- */

static int64_t limit_of(struct environments *es, const struct environment *e, const struct device *d)
{
    _cleanup_cached_ struct cached *cached = e->sandbox ? informer_get(es->sandboxes, e->sandbox) : NULL;
    uint64_t seconds = es->config->idle_stop_seconds;
    struct sandbox s = {0};

    if (cached)
        sandbox_read(cached->object, &s);
    const char *said = d->idle_stop ? d->idle_stop : s.idle_stop;
    if (said && duration_parse(str_from(said), DURATION_MAX, &seconds) < 0)
        seconds = es->config->idle_stop_seconds;
    return (int64_t)seconds * SECOND;
}

static int64_t time_of(const char *text)
{
    int64_t us;
    return text && timestamp_parse(str_from(text), &us) == 0 ? us : 0;
}

void environment_watch_use(struct environments *es, struct environment *e, const struct device *d)
{
    const char *address = environment_address(e);

    /* Where nothing can be measured nothing is ended, and nothing said. */
    if (address == NULL || es->runtime->ops->work == NULL)
        return;
    activities_watch(es->activities, &(struct activity_subject){
                                         .name = e->name,
                                         .instance = e->instance,
                                         .address = address,
                                         .token = e->token,
                                         .gpus = e->gpus,
                                         .pid = e->pid,
                                         .limit_us = limit_of(es, e, d),
                                         .keep_us = time_of(d->keep_until),
                                         .last_us = time_of(d->last_activity),
                                     });
}

/* --- Ending --- */

static bool says_idle(yyjson_val *object)
{
    return streq(json_str_at(device_condition(object, "Idle"), "status"), "True");
}

/* Only as it was judged: who has asked to keep it meanwhile has changed it. */
static yyjson_mut_doc *deletion_of(const struct environment *e, yyjson_val *object)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "apiVersion", "v1");
    json_mut_set_str(doc, root, "kind", "DeleteOptions");
    yyjson_mut_val *only = json_mut_make_obj(doc, root, "preconditions");
    json_mut_set_str(doc, only, "uid", e->uid);
    json_mut_set_str(doc, only, "resourceVersion", json_str_at(object, "metadata.resourceVersion"));
    return doc;
}

void environment_end_unused(struct environments *es, struct environment *e, yyjson_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    struct activity act;

    /* What is written first comes back as an event, and then it is this one's turn. */
    if (!activities_of(es->activities, e->name, &act) || act.verdict.kind != IDLE_END || !says_idle(object) ||
        object_version(object) < e->written)
        return;
    _cleanup_free_ char *path = xasprintf(PLURAL_DEVICES "/%s", e->name);
    _cleanup_json_mut_ yyjson_mut_doc *body = deletion_of(e, object);
    if (client_call(es->client, &(struct client_request){"DELETE", path, NULL, body}, NULL, &err) == 0) {
        log_info("%s: ended, as nobody uses it; %s", e->name, act.message);
        return;
    }
    if (err->reason == REASON_NOT_FOUND || err->reason == REASON_CONFLICT)
        return; /* gone, or changed: an event says so */
    if (err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("%s: nobody uses it, and it cannot be ended: %s", e->name, err->message);
    environment_retry(es, e);
}

/* --- In its status --- */

static const char *idle_soon_text(const struct activity *act, struct arena *a)
{
    char when[TIMESTAMP_SIZE];

    timestamp(when, act->verdict.ends_us);
    return arena_printf(a, "nobody uses it: it is ended at %s, unless it is used again or spec.keepUntil is later; %s",
                        when, act->message);
}

bool environment_use_condition(const struct activity *act, struct arena *a, size_t i, struct use_condition *out)
{
    bool soon = act->verdict.kind == IDLE_SOON, ended = act->verdict.kind == IDLE_END;

    switch (i) {
    case 0:
        *out = (struct use_condition){"InUse", act->reason, act->message, act->in_use, false};
        return act->known;
    case 1:
        *out = (struct use_condition){"IdleSoon", soon ? "IdleSoon" : "InUse", soon ? idle_soon_text(act, a) : NULL,
                                      soon, true};
        return true;
    case 2:
        *out = (struct use_condition){
            "Idle", ended ? "Idle" : "InUse",
            ended ? arena_printf(a, "nobody used it, so it was ended; %s", act->message) : NULL, ended, true};
        return true;
    }
    return false;
}

void environment_fill_use(const struct activity *act, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    char when[TIMESTAMP_SIZE];

    if (!act->known)
        return;
    timestamp(when, act->last_us);
    json_mut_set_str(doc, status, "lastActivity", when);
    if (!act->usage_known)
        return;
    yyjson_mut_val *usage = json_mut_make_obj(doc, status, "usage");
    json_mut_set_int(doc, usage, "cpu", (int64_t)act->usage.cpu_milli);
    json_mut_set_int(doc, usage, "memoryBytes", (int64_t)(act->usage.memory_bytes / MEMORY_STEP * MEMORY_STEP));
    json_mut_set_int(doc, usage, "processes", act->usage.processes);
}
