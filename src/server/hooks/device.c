/* Device: one for each user, what the server gives it (port, host ids, address), and the original's output fields. */
#include "kinds/device.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "kinds/user.h"
#include "server/api/metadata.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device.h"
#include "server/hooks/device_endpoint.h"
#include "server/hooks/device_log.h"
#include "server/hooks/device_ticket.h"
#include "server/hooks/objects.h"
#include "server/hooks/user.h"

#define VSCODE "vscode"
/* Secret scope: name of a device without a port → since when (µs). */
#define PORT_WAITING "port-waiting"

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
        return "Terminating";
    }
    return "Pending";
}

/* The old output fields follow from the status; a Terminating device shows no address. */
static void write_outputs(struct admission *a, bool deleting)
{
    yyjson_mut_val *spec = json_mut_make_obj(a->doc, a->object, "spec");
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");
    enum phase phase = deleting ? PHASE_STOPPING : phase_parse(json_mut_str_at(status, "phase"));
    const char *url = yyjson_mut_get_str(yyjson_mut_arr_get_first(yyjson_mut_obj_get(status, "urls")));
    bool vscode = streq(json_mut_str_at(status, "sandboxName"), VSCODE);

    if (phase == PHASE_STOPPING)
        url = NULL;
    json_mut_set_str(a->doc, spec, "deviceName", json_mut_str_at(status, "containerName"));
    json_mut_set_str(a->doc, spec, "deviceStatus", old_status(phase));
    json_mut_set_str(a->doc, spec, "jupyterLabUrl", vscode ? NULL : url);
    json_mut_set_str(a->doc, spec, "vsCodeUrl", vscode ? url : NULL);
    json_mut_set_str(a->doc, spec, "sandboxURLs", url ? url : "");
}

static void write_owner(struct admission *a, const struct user *owner)
{
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    json_mut_set_str(a->doc, spec, "deviceType", "cpu");
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
    return streq(json_mut_str_at(a->object, "spec.ideType"), VSCODE) ? VSCODE : context->config->default_sandbox;
}

static int check_owner(struct admission *a, struct store_txn *t, struct user *owner, struct error **err)
{
    const char *name = json_mut_str_at(a->object, "spec.openHydraUsername");
    yyjson_doc *doc = object_read(t, USERS, name);

    if (doc)
        arena_defer(a->arena, (void (*)(void *))yyjson_doc_free, doc);
    if (doc == NULL)
        return error_add_cause(err, "spec.openHydraUsername", "FieldValueNotFound", "Not found: \"%s\"", name);
    user_read(yyjson_doc_get_root(doc), owner);
    if (owner->deleting)
        return error_set(err, REASON_CONFLICT, "user %s is being deleted", name);
    struct str first = txn_secret(t, DEVICE_OF_USER, str_from(name));
    if (first.p)
        return error_set(
            err, REASON_ALREADY_EXISTS,
            "user %s has an environment already: device \"%.*s\". There is one for each user: delete it first", name,
            (int)first.n, first.p);
    return 0;
}

static uint64_t number_at(struct admission *a, const char *path, uint64_t otherwise)
{
    const char *text = json_mut_str_at(a->object, path);
    unsigned long long value;

    return text && str_to_u64(str_from(text), UINT64_MAX, &value) == 0 ? value : otherwise;
}

/* Who is no administrator gets what the configuration gives to everybody, or less. */
static int check_resources(struct admission *a, struct error **err)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;

    if (a->who->role != ROLE_USER)
        return 0;
    if (yyjson_mut_get_uint(json_mut_at(a->object, "spec.deviceGpu")))
        return error_set(err, REASON_FORBIDDEN,
                         "spec.deviceGpu: only an administrator may create an environment with a GPU");
    if (number_at(a, "spec.deviceCpu", 0) > c->default_cpu_milli)
        return error_set(err, REASON_FORBIDDEN, "spec.deviceCpu: at most %llu without an administrator",
                         (unsigned long long)c->default_cpu_milli);
    if (number_at(a, "spec.deviceRam", 0) > c->default_ram_mib)
        return error_set(err, REASON_FORBIDDEN, "spec.deviceRam: at most %llu without an administrator",
                         (unsigned long long)c->default_ram_mib);
    return 0;
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
    static const char *const kept[] = {"gpuDriver", "openHydraProjectId", "usePublicDataSet", "affinity", "suspend"};
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (yyjson_mut_obj_get(spec, kept[i]))
            admission_warn(a, "spec.%s is kept and has no effect yet", kept[i]);
    if (yyjson_mut_get_uint(yyjson_mut_obj_get(spec, "deviceGpu")))
        admission_warn(a, "spec.deviceGpu is kept and has no effect yet: the environment gets no GPU");
}

static void write_address(struct admission *a, yyjson_mut_val *status, uint16_t port)
{
    const struct hook_context *context = a->context;
    yyjson_mut_val *urls = yyjson_mut_arr(a->doc);

    json_mut_set_int(a->doc, status, "port", port);
    if (port) {
        _cleanup_free_ char *url = config_environment_url(context->config, port);
        yyjson_mut_arr_add_strcpy(a->doc, urls, url);
    }
    json_mut_set(a->doc, status, "urls", urls);
}

static void write_first_reason(struct admission *a, yyjson_mut_val *status, uint16_t port)
{
    const struct hook_context *context = a->context;
    const char *reason = "Queued", *message = "waiting for the runner to take it up";

    if (port == 0) {
        reason = "PortsExhausted";
        message = "all ports for environments are given to users: widen environmentListen or delete users";
    } else if (!atomic_load(context->runner_present)) {
        reason = "RunnerAbsent";
        message = "nobody runs environments at the moment: the runner is not connected";
    }
    json_mut_set_str(a->doc, status, "phase", phase_name(PHASE_QUEUED));
    json_mut_set_str(a->doc, status, "reason", reason);
    json_mut_set_str(a->doc, status, "message", message);
}

static void add_finalizer(struct admission *a)
{
    yyjson_mut_val *metadata = json_mut_make_obj(a->doc, a->object, "metadata");
    yyjson_mut_val *list = yyjson_mut_obj_get(metadata, "finalizers"), *item;
    size_t i, n;

    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(a->doc);
        json_mut_set(a->doc, metadata, "finalizers", list);
    }
    yyjson_mut_arr_foreach (list, i, n, item) {
        if (streq(yyjson_mut_get_str(item), DEVICE_FINALIZER))
            return;
    }
    yyjson_mut_arr_add_str(a->doc, list, DEVICE_FINALIZER);
}

static int admit_create(struct admission *a, struct store_txn *t, struct error **err)
{
    const struct hook_context *context = a->context;
    const char *field, *sandbox = chosen_sandbox(a, &field);
    struct user owner;
    uint32_t host_id;

    if (check_owner(a, t, &owner, err) < 0 || check_resources(a, err) < 0 || check_bounds(a, err) < 0)
        return -1;
    if (txn_get(t, SANDBOXES, str_from(sandbox)) == NULL)
        return error_add_cause(err, field, "FieldValueNotFound", "Not found: there is no sandbox \"%s\"", sandbox);
    if (allocate_host_ids(t, context->config, owner.name, &host_id, err) < 0)
        return -1;
    uint16_t port = allocate_port(t, context, owner.name);

    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");
    json_mut_set_str(a->doc, status, "sandboxName", sandbox);
    json_mut_set_int(a->doc, status, "hostId", host_id);
    write_address(a, status, port);
    write_first_reason(a, status, port);
    write_owner(a, &owner);
    write_outputs(a, false);
    add_finalizer(a);
    warn_of_no_effect(a);
    const char *name = json_mut_str_at(a->object, "metadata.name");
    txn_secret_put(t, DEVICE_OF_USER, str_from(owner.name), str_from(name));
    if (port == 0)
        txn_secret_put(t, PORT_WAITING, str_from(name),
                       str_from(arena_printf(a->arena, "%lld", (long long)clock_realtime_us())));
    return 0;
}

struct longest {
    char *name; /* owned */
    unsigned long long since;
};

static bool consider_waiting(void *arg, struct str key, struct str value)
{
    struct longest *l = arg;
    unsigned long long since;

    if (str_to_u64(value, UINT64_MAX, &since) == 0 && (l->name == NULL || since < l->since)) {
        free(l->name);
        *l = (struct longest){xstrndup(key.p, key.n), since};
    }
    return true;
}

/* Returns whether the device needs to wait no longer. */
static bool give_port(struct store_txn *t, struct hook_context *context, const char *name)
{
    _cleanup_json_ yyjson_doc *present = object_read(t, DEVICES, name);
    const char *owner = json_str_at(yyjson_doc_get_root(present), "spec.openHydraUsername");
    uint16_t port = owner ? allocate_port(t, context, owner) : 0;

    if (owner == NULL)
        return true;
    if (port == 0)
        return false;
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_doc_mut_copy(present, NULL);
    struct admission a = {.doc = doc, .object = yyjson_mut_doc_get_root(doc), .context = context};
    yyjson_mut_val *status = json_mut_make_obj(doc, a.object, "status");
    bool deleting = json_str_at(yyjson_doc_get_root(present), "metadata.deletionTimestamp") != NULL;
    write_address(&a, status, port);
    if (!deleting)
        write_first_reason(&a, status, port);
    write_outputs(&a, deleting);
    object_write(t, DEVICES, doc);
    return true;
}

int device_serve_waiting(struct store_txn *t, void *context, struct error **err)
{
    for (;;) {
        struct longest l = {0};
        txn_secret_list(t, PORT_WAITING, consider_waiting, &l);
        bool served = l.name && give_port(t, context, l.name);
        if (served)
            txn_secret_delete(t, PORT_WAITING, str_from(l.name));
        free(l.name);
        if (!served)
            return 0;
    }
}

/* What the server gave at creation is not the runner's to change. */
static int admit_status(struct admission *a)
{
    static const char *const kept[] = {"port", "hostId", "urls", "sandboxName"};
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");
    yyjson_val *old = json_at(a->old, "status");

    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        yyjson_val *value = yyjson_obj_get(old, kept[i]);
        if (value)
            json_mut_set(a->doc, status, kept[i], yyjson_val_mut_copy(a->doc, value));
    }
    write_outputs(a, json_str_at(a->old, "metadata.deletionTimestamp") != NULL);
    return 0;
}

static int admit_delete(struct admission *a)
{
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");

    json_mut_set_str(a->doc, status, "phase", phase_name(PHASE_STOPPING));
    json_mut_set_str(a->doc, status, "reason", "Deleted");
    json_mut_set_str(a->doc, status, "message", "its container is being stopped");
    write_outputs(a, true);
    return 0;
}

static int admit(struct admission *a, struct store_txn *t, struct error **err)
{
    switch (a->operation) {
    case OPERATION_CREATE:
        return admit_create(a, t, err);
    case OPERATION_UPDATE:
        return 0;
    case OPERATION_UPDATE_STATUS:
        return admit_status(a);
    case OPERATION_DELETE:
        return admit_delete(a);
    }
    return 0;
}

static void finish_user(struct store_txn *t, struct hook_context *context, const char *name)
{
    _cleanup_json_ yyjson_doc *doc = object_read(t, USERS, name);
    struct user u;

    if (doc == NULL)
        return;
    user_read(yyjson_doc_get_root(doc), &u);
    if (!u.deleting)
        return;
    user_forget(t, context, u.name, u.uid);
    object_remove(t, USERS, u.name);
}

struct owner_of {
    const char *device;
    char *owner;
};

static bool is_owner_of(void *arg, struct str owner, struct str device)
{
    struct owner_of *o = arg;

    if (str_is(device, o->device))
        o->owner = xstrndup(owner.p, owner.n);
    return o->owner == NULL;
}

/* Of a device that cannot be read: as was noted when it was made. */
static const char *noted_owner(struct admission *a, struct store_txn *t)
{
    struct owner_of o = {.device = json_mut_str_at(a->object, "metadata.name")};

    txn_secret_list(t, DEVICE_OF_USER, is_owner_of, &o);
    const char *owner = o.owner ? arena_strdup(a->arena, o.owner) : "";
    free(o.owner);
    return owner;
}

static int removed(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *owner = json_mut_str_at(a->object, "spec.openHydraUsername");

    if (owner == NULL)
        owner = noted_owner(a, t);
    txn_secret_delete(t, DEVICE_OF_USER, str_from(owner));
    txn_secret_delete(t, PORT_WAITING, str_from(json_mut_str_at(a->object, "metadata.name")));
    endpoint_forget_after_commit(a, t);
    finish_user(t, a->context, owner);
    return 0;
}

static const struct kind_subresource subresources[] = {
    {.name = "ticket", .kind = "DeviceTicket", .verbs = "create", .handle = device_ticket},
    {.name = "log", .kind = "Device", .verbs = "get", .handle = device_log, .load = FLOW_LOGS},
    {.name = "endpoint", .kind = "DeviceEndpoint", .verbs = "update", .private = true, .handle = device_endpoint},
    {0},
};

const struct kind_hooks device_hooks = {.admit = admit, .removed = removed, .subresources = subresources};
