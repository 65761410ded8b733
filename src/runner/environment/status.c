#include "runner/environment/status.h"

#include <assert.h>
#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "kinds/names.h"
#include "runner/environment/gpus.h"
#include "runner/environment/home_quota.h"
#include "runner/environment/image.h"
#include "runner/environment/in_use.h"
#include "runner/environment/safe_mode.h"
#include "runner/environment/shortage.h"
#include "runner/environment/spec.h"

/* --- Conditions --- */

struct condition {
    const char *type;
    bool holds;
    const char *reason, *message;
};

#define CONDITIONS_MAX 24
struct filling {
    struct environments *es;
    const struct environment *e;
    struct condition conditions[CONDITIONS_MAX];
    size_t conditions_len;
    struct arena *arena; /* texts of these */
    struct activity use;
};

static void add_condition(struct filling *f, const char *type, bool holds, const char *reason, const char *message)
{
    assert(f->conditions_len < CONDITIONS_MAX);
    f->conditions[f->conditions_len++] = (struct condition){type, holds, reason, message ? message : ""};
}

static void collect_conditions(struct filling *f, const struct runtime_facts *facts, bool known,
                               const char *engine_message)
{
    const struct environment *e = f->e;

    bool ready = e->phase == PHASE_RUNNING && !e->unwell;

    add_condition(f, "Ready", ready,
                  ready                       ? "Answers"
                  : e->phase == PHASE_RUNNING ? e->reason
                                              : phase_name(e->phase),
                  e->message);
    add_condition(f, "EngineAvailable", engine_message == NULL, engine_message ? "EngineUnavailable" : "Answers",
                  engine_message);
    add_condition(f, "Supervised", !e->unsupervised, e->unsupervised ? "SupervisorGone" : "Supervised",
                  e->unsupervised
                      ? "the engine's process that watched over the container (conmon) is gone: it works on, "
                        "its output is lost, and its end is noticed by asking"
                      : NULL);
    if (!known)
        return;
    add_condition(f, "UserNamespace", facts->user_namespace, facts->user_namespace ? "OwnRange" : "NotSupported",
                  facts->user_namespace_why);
    add_condition(f, "ResourceLimitsEnforced", facts->limits, facts->limits ? "Enforced" : "NotSupported",
                  facts->limits_why);
}

/* Of one that has any. */
static void collect_gpu_conditions(struct filling *f)
{
    struct gpu_trouble t = {0};

    if (f->e->gpus == NULL || f->e->container != CONTAINER_RUNNING)
        return;
    bool ill = environment_gpus_ill(f->es, f->arena, f->e, &t);
    add_condition(f, "GPUHealthy", !ill, ill ? t.reason : "Well", ill ? t.message : NULL);
    bool greedy = environment_gpus_greedy(f->es, f->arena, f->e, &t);
    add_condition(f, "GPUMemoryWithinShare", !greedy, greedy ? t.reason : "WithinShare", greedy ? t.message : NULL);
}

/* Said once; it stays in the status as long as the device. */
static void add_home_condition(struct filling *f)
{
    if (f->e->kept_apart)
        add_condition(f, "HomeContinued", false, "FormerUser", f->e->kept_apart);
}

static void collect_shortages(struct filling *f, yyjson_val *object)
{
    struct shortage_said said;
    int64_t now = clock_realtime_us();

    for (size_t i = 0; i < SHORTAGES; i++)
        if (environment_short_of(f->es, f->e, (enum shortage)i, object, now, f->arena, &said))
            add_condition(f, said.type, said.holds, said.reason, said.message);
}

/* What runs keeps the image that it was made from. */
static void add_image_condition(struct filling *f, yyjson_val *object)
{
    _cleanup_image_state_ struct image_state now = {0};
    const struct environment *e = f->e;
    bool newer = e->phase == PHASE_RUNNING && *e->image && environment_image(f->es, object, &now) &&
                 now.phase == IMAGE_READY && !streq(now.image.id, e->image);

    add_condition(f, "ImageUpToDate", !newer, newer ? "NewerImage" : "UpToDate",
                  newer
                      ? "its sandbox has a newer image: delete the environment and create it again to use that; files "
                        "stay"
                      : NULL);
}

/* Of one that is in it. */
static void add_safe_mode_condition(struct filling *f, yyjson_val *object)
{
    struct device d;

    device_read(object, &d);
    struct safe_mode_words words = environment_safe_words(f->e, &d);
    if (words.reason)
        add_condition(f, "SafeMode", true, words.reason, words.message);
}

static void add_room_condition(struct filling *f)
{
    struct home_condition c;

    if (environment_home_condition(f->es, f->arena, f->e, &c))
        add_condition(f, "HomeHasRoom", c.has_room, c.reason, c.message);
}

static void collect_use_conditions(struct filling *f, yyjson_val *object)
{
    struct use_condition c;

    if (!activities_of(f->es->activities, f->e->name, &f->use))
        return;
    for (size_t i = 0; i < USE_CONDITIONS; i++)
        if (environment_use_condition(&f->use, f->arena, i, &c) &&
            (c.holds || !c.sparse || device_condition(object, c.type)))
            add_condition(f, c.type, c.holds, c.reason, c.message);
}

static bool is_ours(const struct filling *f, const char *type)
{
    for (size_t i = 0; i < f->conditions_len; i++)
        if (streq(f->conditions[i].type, type))
            return true;
    return false;
}

/* Engine and kernel say it in their own words. */
static void set_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *text)
{
    _cleanup_free_ char *plain = xstrdup(text);

    plain[text_clean(plain, strlen(plain), "")] = '\0';
    json_mut_set_str(doc, obj, key, plain);
}

static void fill_conditions(const struct filling *f, yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    char now[TIMESTAMP_SIZE];
    size_t i, max;
    yyjson_val *v;

    timestamp(now, clock_realtime_us());
    for (i = 0; i < f->conditions_len; i++) {
        const struct condition *c = &f->conditions[i];
        yyjson_val *old = device_condition(object, c->type);
        const char *holds = c->holds ? "True" : "False", *since = json_str_at(old, "lastTransitionTime");
        bool same = since && streq(json_str_at(old, "status"), holds);
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);
        json_mut_set_str(doc, one, "type", c->type);
        json_mut_set_str(doc, one, "status", holds);
        json_mut_set_str(doc, one, "reason", c->reason);
        set_text(doc, one, "message", c->message);
        json_mut_set_str(doc, one, "lastTransitionTime", same ? since : now);
    }
    yyjson_arr_foreach (json_at(object, "status.conditions"), i, max, v) {
        if (!is_ours(f, json_str_at(v, "type")))
            yyjson_mut_arr_append(list, yyjson_val_mut_copy(doc, v));
    }
    json_mut_set(doc, status, "conditions", list);
}

/* --- The rest --- */

/* In a merge patch a missing thing is said by null. */
static void put_null(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key)
{
    json_mut_set(doc, obj, key, yyjson_mut_null(doc));
}

static void fill_timings(const struct environment *e, yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    static const char *const names[] = {"queued", "preparing", "starting"};
    yyjson_mut_val *timings = json_mut_make_obj(doc, status, "timings");
    yyjson_val *old = json_at(object, "status.timings");

    for (size_t i = 0; i < TIMINGS; i++) {
        yyjson_val *kept = yyjson_obj_get(old, names[i]);
        if (e->timings[i] >= 0)
            json_mut_set(doc, timings, names[i], yyjson_mut_real(doc, round(e->timings[i] * 1000) / 1000));
        else if (kept) /* by the runner before this one */
            json_mut_set(doc, timings, names[i], yyjson_val_mut_copy(doc, kept));
    }
}

static void fill_log(const struct environment *e, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    struct str rest = str_from(e->log), line;

    if (e->log == NULL) {
        put_null(doc, status, "log");
        return;
    }
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    while (str_split(&rest, '\n', &line))
        yyjson_mut_arr_add_strncpy(doc, list, line.p, line.n);
    json_mut_set(doc, status, "log", list);
}

/* What the runner before this one started it with. */
static void keep_resource(yyjson_mut_doc *doc, yyjson_mut_val *resources, const char *key, yyjson_val *object)
{
    yyjson_val *kept = yyjson_obj_get(json_at(object, "status.resources"), key);

    if (kept)
        json_mut_set(doc, resources, key, yyjson_val_mut_copy(doc, kept));
}

static void fill_size(yyjson_mut_doc *doc, yyjson_mut_val *resources, const char *key, uint64_t bytes,
                      yyjson_val *object)
{
    _cleanup_free_ char *size = xasprintf("%lluKi", (unsigned long long)bytes >> 10);

    if (bytes % (1 << 20) == 0) {
        free(size);
        size = xasprintf("%lluMi", (unsigned long long)bytes >> 20);
    }
    if (bytes)
        json_mut_set_str(doc, resources, key, size);
    else
        keep_resource(doc, resources, key, object);
}

static void fill_resources(const struct filling *f, yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    const struct config *config = f->es->config;
    const struct environment *e = f->e;
    yyjson_mut_val *r = json_mut_make_obj(doc, status, "resources");
    struct device d;

    device_read(object, &d);
    _cleanup_free_ char *cpu = xasprintf("%llum", (unsigned long long)device_cpu_milli(config, d.cpu));
    _cleanup_free_ char *memory = xasprintf("%lluMi", (unsigned long long)device_memory_mib(config, d.ram));
    json_mut_set_str(doc, r, "cpu", cpu);
    json_mut_set_str(doc, r, "memory", memory);
    fill_size(doc, r, "shm", e->shm_bytes, object);
    fill_size(doc, r, "tmp", e->tmp_bytes, object);
    if (e->processes)
        json_mut_set_int(doc, r, "pids", e->processes);
    else
        keep_resource(doc, r, "pids", object);
}

static void fill_status(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *arg)
{
    const struct filling *f = arg;
    const struct environment *e = f->e;
    char when[TIMESTAMP_SIZE];

    json_mut_set_str(doc, status, "phase", phase_name(e->phase));
    json_mut_set_str(doc, status, "reason", e->reason ? e->reason : "");
    json_mut_set_str(doc, status, "message", e->message ? e->message : "");
    json_mut_set_int(doc, status, "observedGeneration", json_int_at(object, "metadata.generation", 0));
    if (e->started_us) {
        timestamp(when, e->started_us);
        json_mut_set_str(doc, status, "startedAt", when);
    } else {
        put_null(doc, status, "startedAt");
    }
    _cleanup_free_ char *container = f->es->runtime->ops->name_of(f->es->runtime, e->instance);
    json_mut_set_str(doc, status, "containerName", container);
    if (e->restarts)
        json_mut_set_int(doc, status, "restarts", e->restarts);
    fill_timings(e, object, doc, status);
    fill_log(e, doc, status);
    fill_resources(f, object, doc, status);
    if (e->gpus && e->container == CONTAINER_RUNNING)
        json_mut_set(doc, status, "gpus", environment_gpus_status(f->es, e, object, doc));
    environment_fill_use(&f->use, doc, status);
    yyjson_mut_val *storage = environment_storage_status(f->es, e, doc);
    if (storage)
        json_mut_set(doc, status, "storage", storage);
    fill_conditions(f, object, doc, status);
}

/* --- Writing --- */

void status_write(struct environments *es, struct environment *e, yyjson_val *object)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct filling f = {.es = es, .e = e, .arena = a};
    struct runtime_facts facts;
    _cleanup_free_ char *engine_message = NULL;
    _cleanup_error_ struct error *err = NULL;
    _cleanup_json_ yyjson_doc *answer = NULL;

    bool known = es->runtime->ops->facts(es->runtime, &facts, NULL) == 0;
    if (engine_is_up(es, &engine_message))
        engine_message = NULL;
    collect_conditions(&f, &facts, known, engine_message);
    collect_gpu_conditions(&f);
    add_image_condition(&f, object);
    collect_use_conditions(&f, object);
    add_home_condition(&f);
    collect_shortages(&f, object);
    add_safe_mode_condition(&f, object);
    add_room_condition(&f);
    /* What the informer has may be older than what was written last. */
    bool stale = object_version(object) < e->written;
    if (stale ? !e->dirty : !client_status_differs(object, fill_status, &f)) {
        e->dirty = false;
        return;
    }
    struct object_ref ref = {PLURAL_DEVICES, e->name, e->uid};
    if (client_patch_status(es->client, &ref, stale ? NULL : object, fill_status, &f, &answer, &err) == 0) {
        e->written = object_version(yyjson_doc_get_root(answer));
        e->dirty = false;
        if (e->phase == PHASE_RUNNING || e->phase == PHASE_FAILED)
            e->failures = 0;
        return;
    }
    if (err->reason == REASON_NOT_FOUND)
        return; /* gone; its deletion is on the way */
    if (err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("status of %s: %s", e->name, err->message);
    environment_retry(es, e);
}
