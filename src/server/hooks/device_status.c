#include "server/hooks/device_status.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "kinds/ide.h"
#include "server/hooks/device_idle.h"
#include "server/hooks/objects.h"

#define RUNNER_ABSENT "RunnerAbsent"
#define RUNNER_ABSENT_TEXT "nobody runs environments at the moment: the runner is not connected"

/* spec.deviceStatus, as the original's clients know it. */
static const char *old_status(enum phase phase)
{
    switch (phase) {
    case PHASE_QUEUED:
    case PHASE_PREPARING:
    case PHASE_STARTING:
        return "Pending";
    case PHASE_RUNNING:
        return "Running";
    case PHASE_FAILED:
        return "Failed";
    case PHASE_STOPPING:
    case PHASE_STOPPED:
        return "Terminating";
    }
    return "Pending";
}

static yyjson_mut_val *status_of(struct admission *a)
{
    return json_mut_make_obj(a->doc, a->object, "status");
}

/* The original's list. */
static void write_all_urls(struct admission *a, yyjson_mut_val *spec, yyjson_mut_val *urls)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(urls);
    _cleanup_buffer_ struct buffer all = BUFFER_MAX(16384);
    yyjson_mut_val *one;

    while ((one = yyjson_mut_arr_iter_next(&iter)))
        if (yyjson_mut_is_str(one))
            buffer_printf(&all, "%s%s", all.n ? "," : "", yyjson_mut_get_str(one));
    json_mut_set_str(a->doc, spec, "sandboxURLs", all.n ? all.p : "");
}

void device_write_outputs(struct admission *a, bool deleting)
{
    yyjson_mut_val *spec = json_mut_make_obj(a->doc, a->object, "spec"), *status = status_of(a);
    enum phase phase = deleting ? PHASE_STOPPING : phase_parse(json_mut_str_at(status, "phase"));
    const char *url = yyjson_mut_get_str(yyjson_mut_arr_get_first(yyjson_mut_obj_get(status, "urls")));
    const struct ide *ide = ide_by_sandbox(json_mut_str_at(status, "sandboxName"));

    if (phase == PHASE_STOPPING)
        url = NULL;
    json_mut_set_str(a->doc, spec, "deviceName", json_mut_str_at(status, "containerName"));
    json_mut_set_str(a->doc, spec, "deviceStatus", old_status(phase));
    for (size_t i = 0; i < ides_len; i++)
        json_mut_set_str(a->doc, spec, ides[i].url_field, ide == &ides[i] ? url : NULL);
    write_all_urls(a, spec, url ? yyjson_mut_obj_get(status, "urls") : NULL);
}

void device_say(struct admission *a, enum phase phase, const char *reason, const char *message)
{
    yyjson_mut_val *status = status_of(a);

    json_mut_set_str(a->doc, status, "phase", phase_name(phase));
    json_mut_set_str(a->doc, status, "reason", reason);
    json_mut_set_str(a->doc, status, "message", message);
}

void device_say_queued(struct admission *a)
{
    const struct hook_context *context = a->context;

    json_mut_remove(status_of(a), "queue");
    if (atomic_load(context->runner_present))
        device_say(a, PHASE_QUEUED, "Queued", "waiting for the runner to take it up");
    else
        device_say(a, PHASE_QUEUED, RUNNER_ABSENT, RUNNER_ABSENT_TEXT);
}

/* The runner's condition, which the runner may be away to take back. */
static void take_back_ready(struct admission *a)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(yyjson_mut_obj_get(status_of(a), "conditions"));
    yyjson_mut_val *one;
    char now[TIMESTAMP_SIZE];

    while ((one = yyjson_mut_arr_iter_next(&iter))) {
        if (!streq(json_mut_str_at(one, "type"), "Ready"))
            continue;
        if (!streq(json_mut_str_at(one, "status"), "False")) {
            timestamp(now, clock_realtime_us());
            json_mut_set_str(a->doc, one, "lastTransitionTime", now);
        }
        json_mut_set_str(a->doc, one, "status", "False");
        json_mut_set_str(a->doc, one, "reason", phase_name(PHASE_STOPPING));
        json_mut_set_str(a->doc, one, "message", json_mut_str_at(status_of(a), "message"));
    }
}

void device_say_stopping(struct admission *a)
{
    const char *idle = device_idle_message(a->object);

    device_say(a, PHASE_STOPPING, idle ? "Idle" : "Deleted", idle ? idle : "its container is being stopped");
    json_mut_set(a->doc, status_of(a), "urls", yyjson_mut_arr(a->doc));
    json_mut_remove(status_of(a), "queue");
    take_back_ready(a);
    device_write_outputs(a, true);
}

void device_keep_stopping(struct admission *a)
{
    static const char *const kept[] = {"phase", "reason", "message", "conditions"};
    enum phase said = phase_parse(json_mut_str_at(status_of(a), "phase"));

    if (said == PHASE_STOPPING || said == PHASE_STOPPED)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        yyjson_val *value = yyjson_obj_get(json_at(a->old, "status"), kept[i]);
        if (value)
            json_mut_set(a->doc, status_of(a), kept[i], yyjson_val_mut_copy(a->doc, value));
        else
            json_mut_remove(status_of(a), kept[i]);
    }
}

/* --- Without a runner --- */

struct names {
    char **list;
    size_t n;
};

static bool collect_waiting(void *arg, struct object *o)
{
    struct names *names = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    struct device d;

    device_read(yyjson_doc_get_root(doc), &d);
    bool waits = d.phase == PHASE_QUEUED || d.phase == PHASE_PREPARING || d.phase == PHASE_STARTING;
    /* Who waits for a place waits for no runner. */
    if (!waits || json_at(yyjson_doc_get_root(doc), "status.queue") || streq(d.reason, RUNNER_ABSENT))
        return true;
    names->list = xreallocarray(names->list, names->n + 1, sizeof(*names->list));
    names->list[names->n++] = xstrdup(o->name);
    return true;
}

static void say_absent(struct store_txn *t, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_DEVICES, name);

    if (doc == NULL)
        return;
    struct admission a = {.doc = doc, .object = yyjson_mut_doc_get_root(doc)};
    device_say(&a, phase_parse(json_mut_str_at(a.object, "status.phase")), RUNNER_ABSENT, RUNNER_ABSENT_TEXT);
    device_write_outputs(&a, false);
    object_write(t, PLURAL_DEVICES, doc);
}

/* An environment that runs goes on without the runner, and one that is being stopped says that it is. */
int device_runner_absent(struct store_txn *t, void *arg, struct error **err)
{
    struct names names = {0};

    txn_essential(t);
    txn_list(t, PLURAL_DEVICES, collect_waiting, &names);
    for (size_t i = 0; i < names.n; i++) {
        say_absent(t, names.list[i]);
        free(names.list[i]);
    }
    free(names.list);
    return 0;
}
