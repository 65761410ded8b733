/* Device: one for each user, with what the server gives it (allocation.h) and the original's output fields. */
#include "kinds/device.h"

#include "kinds/ide.h"
#include "kinds/user.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device_course.h"
#include "server/hooks/device_endpoint.h"
#include "server/hooks/device_gone.h"
#include "server/hooks/device_gpu.h"
#include "server/hooks/device_idle.h"
#include "server/hooks/device_log.h"
#include "server/hooks/device_sandbox.h"
#include "server/hooks/device_status.h"
#include "server/hooks/device_ticket.h"
#include "server/hooks/home_quota.h"
#include "server/hooks/home_totals.h"
#include "server/hooks/objects.h"

static void write_owner(struct admission *a, const struct user *owner)
{
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "status"), "ownerUid", owner->uid);
    json_mut_set_int(a->doc, spec, "role", owner->role);
    json_mut_set_str(a->doc, spec, "chineseName", owner->chinese_name);
    json_mut_set_str(a->doc, spec, "lineNo", "0");
}

static const char *chosen_sandbox(struct admission *a, const char **field)
{
    const struct hook_context *context = a->context;
    const char *name = json_mut_str_at(a->object, "spec.sandboxName");

    *field = "spec.sandboxName";
    if (name && *name)
        return name;
    *field = "spec.ideType";
    const struct ide *ide = ide_by_type(json_mut_str_at(a->object, "spec.ideType"));
    return ide->sandbox ? ide->sandbox : context->config->default_sandbox;
}

static int check_no_other(struct admission *a, struct store_txn *t, const char *owner, struct error **err)
{
    struct str first = txn_secret(t, DEVICE_OF_USER, str_from(owner));

    if (first.p == NULL)
        return 0;
    const char *name = arena_strndup(a->arena, first.p, first.n);
    _cleanup_json_ yyjson_doc *doc = object_read(t, PLURAL_DEVICES, name);
    if (json_str_at(yyjson_doc_get_root(doc), "metadata.deletionTimestamp"))
        return error_set(err, REASON_ALREADY_EXISTS,
                         "user %s has an environment that is being deleted still: device \"%s\" (%s)", owner, name,
                         json_str_at(yyjson_doc_get_root(doc), "status.message"));
    return error_set(err, REASON_ALREADY_EXISTS,
                     "user %s has an environment already: device \"%s\". There is one for each user: delete it first",
                     owner, name);
}

static int check_owner(struct admission *a, struct store_txn *t, struct user *owner, struct error **err)
{
    const char *name = json_mut_str_at(a->object, "spec.openHydraUsername");
    yyjson_doc *doc = object_read(t, PLURAL_USERS, name);

    if (doc)
        arena_defer(a->arena, (void (*)(void *))yyjson_doc_free, doc);
    if (doc == NULL)
        return error_add_cause(err, "spec.openHydraUsername", "FieldValueNotFound", "Not found: \"%s\"", name);
    user_read(yyjson_doc_get_root(doc), owner);
    if (owner->deleting)
        return error_set(err, REASON_CONFLICT, "user %s is being deleted", name);
    return check_no_other(a, t, name, err);
}

static uint64_t number_at(struct admission *a, const char *path, uint64_t otherwise)
{
    const char *text = json_mut_str_at(a->object, path);
    unsigned long long value;

    return text && str_to_u64(str_from(text), UINT64_MAX, &value) == 0 ? value : otherwise;
}

/* Who is no administrator gets what sandbox and configuration give to everybody, or less; the amounts: device_sandbox.c. */
static int check_resources(struct admission *a, struct error **err)
{
    if (a->who->role != ROLE_USER)
        return 0;
    if (device_check_gpus_asked(a, err) < 0)
        return -1;
    if (yyjson_mut_get_sint(json_mut_at(a->object, "spec.priority")))
        return error_set(err, REASON_FORBIDDEN, "spec.priority: only an administrator may set it");
    return device_check_idle_asked(a, err);
}

static int check_bounds(struct admission *a, struct error **err)
{
    if (number_at(a, "spec.deviceCpu", 10) < 10)
        return error_add_cause(err, "spec.deviceCpu", "FieldValueInvalid", "at least \"10\" (thousandths of a core)");
    if (number_at(a, "spec.deviceRam", 64) < 64)
        return error_add_cause(err, "spec.deviceRam", "FieldValueInvalid", "at least \"64\" (MiB)");
    return 0;
}

static void warn_of_no_effect(struct admission *a)
{
    static const char *const kept[] = {"openHydraProjectId", "usePublicDataSet", "affinity", "suspend"};
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (yyjson_mut_obj_get(spec, kept[i]))
            admission_warn(a, "spec.%s is kept and has no effect yet", kept[i]);
}

static int admit_create(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *field, *sandbox = chosen_sandbox(a, &field);
    struct user owner;

    if (check_owner(a, t, &owner, err) < 0 || check_resources(a, err) < 0 || check_bounds(a, err) < 0)
        return -1;
    if (device_take_sandbox(a, t, sandbox, field, err) < 0)
        return -1;
    json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "status"), "sandboxName", sandbox);
    if (allocation_give(a, t, err) < 0)
        return -1;
    write_owner(a, &owner);
    home_quota_write(a->doc, a->object, owner.home_quota);
    device_write_outputs(a, false);
    finalizer_add(a->doc, a->object, DEVICE_FINALIZER);
    warn_of_no_effect(a);
    device_forget_ended(t, owner.name);
    txn_secret_put(t, DEVICE_OF_USER, str_from(owner.name), str_from(json_mut_str_at(a->object, "metadata.name")));
    return 0;
}

/* What the server gave at creation is not the runner's to change. */
static int admit_status(struct admission *a)
{
    static const char *const kept[] = {"port", "ports",       "hostId", "formerHostId",  "ownerUid",
                                       "urls", "sandboxName", "queue",  "homeQuotaBytes"};
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");
    yyjson_val *old = json_at(a->old, "status");

    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        yyjson_val *value = yyjson_obj_get(old, kept[i]);
        if (value)
            json_mut_set(a->doc, status, kept[i], yyjson_val_mut_copy(a->doc, value));
        else
            json_mut_remove(status, kept[i]);
    }
    device_keep_gpus(a);
    bool deleting = json_str_at(a->old, "metadata.deletionTimestamp") != NULL;
    if (deleting)
        device_keep_stopping(a);
    device_write_outputs(a, deleting);
    return 0;
}

/* It may come before others now, or behind them. */
static int admit_update(struct admission *a, struct store_txn *t, struct error **err)
{
    if (device_check_idle_changed(a, err) < 0)
        return -1;
    bool same = json_int_at(a->old, "spec.priority", 0) == yyjson_mut_get_sint(json_mut_at(a->object, "spec.priority"));

    if (!same && json_at(a->old, "status.queue"))
        allocation_changed(a, t, false);
    return 0;
}

static int admit_device(struct admission *a, struct store_txn *t, struct error **err)
{
    switch (a->operation) {
    case OPERATION_CREATE:
        return admit_create(a, t, err);
    case OPERATION_UPDATE:
        return admit_update(a, t, err);
    case OPERATION_UPDATE_STATUS:
        home_totals_note(a, t, false);
        return admit_status(a);
    case OPERATION_DELETE:
        device_say_stopping(a);
        allocation_leave(t, a->context, json_mut_str_at(a->object, "metadata.name"));
        return 0;
    }
    return 0;
}

static const struct subresource_handler subresources[] = {
    {"ticket", FLOW_REQUESTS, device_ticket}, {"log", FLOW_LOGS, device_log},
    {"course", FLOW_REQUESTS, device_course}, {"endpoint", FLOW_REQUESTS, device_endpoint},
    {"visits", FLOW_REQUESTS, device_visits}, {0},
};

const struct kind_hooks device_hooks = {
    .admit = admit_device, .removed = device_removed, .gauges = home_totals_write, .subresources = subresources};
