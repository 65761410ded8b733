#include "kinds/device.h"

static const char *const phases[] = {
    [PHASE_QUEUED] = "Queued",   [PHASE_PREPARING] = "Preparing", [PHASE_STARTING] = "Starting",
    [PHASE_RUNNING] = "Running", [PHASE_STOPPING] = "Stopping",   [PHASE_FAILED] = "Failed",
    [PHASE_STOPPED] = "Stopped",
};

const char *phase_name(enum phase p)
{
    return phases[p];
}

enum phase phase_parse(const char *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
        if (streq(s, phases[i]))
            return (enum phase)i;
    return PHASE_QUEUED;
}

static void read_finalizers(yyjson_val *object, struct device *out)
{
    yyjson_val *list = json_at(object, "metadata.finalizers"), *item;
    size_t i, n;

    yyjson_arr_foreach (list, i, n, item) {
        if (streq(yyjson_get_str(item), DEVICE_FINALIZER))
            out->has_finalizer = true;
        else
            out->held_by_others = true;
    }
}

void device_read(yyjson_val *object, struct device *out)
{
    *out = (struct device){
        .name = json_str_at(object, "metadata.name"),
        .uid = json_str_at(object, "metadata.uid"),
        .owner = json_str_at(object, "spec.openHydraUsername"),
        .sandbox = json_str_at(object, "status.sandboxName"),
        .cpu = json_str_at(object, "spec.deviceCpu"),
        .ram = json_str_at(object, "spec.deviceRam"),
        .gpu = (unsigned)json_int_at(object, "spec.deviceGpu", 0),
        .gpu_driver = json_str_at(object, "spec.gpuDriver"),
        .language = json_str_at(object, "spec.language"),
        .gpus = json_at(object, "status.gpus"),
        .waits = json_at(object, "status.queue") != NULL,
        .safe_mode = json_bool_at(object, "spec.safeMode", false),
        .deleting = json_str_at(object, "metadata.deletionTimestamp") != NULL,
        .generation = json_int_at(object, "metadata.generation", 0),
        .phase = phase_parse(json_str_at(object, "status.phase")),
        .reason = json_str_at(object, "status.reason"),
        .message = json_str_at(object, "status.message"),
        .port = (uint16_t)json_int_at(object, "status.port", 0),
        .ports = json_at(object, "status.ports"),
        .host_id = (uint32_t)json_int_at(object, "status.hostId", 0),
        .idle_stop = json_str_at(object, "spec.idleStop"),
        .keep_until = json_str_at(object, "spec.keepUntil"),
        .last_activity = json_str_at(object, "status.lastActivity"),
        .former_host_id = (uint32_t)json_int_at(object, "status.formerHostId", 0),
        .owner_uid = json_str_at(object, "status.ownerUid"),
        .home_quota = json_int_at(object, "status.homeQuotaBytes", -1),
        .url = yyjson_get_str(yyjson_arr_get_first(json_at(object, "status.urls"))),
    };
    read_finalizers(object, out);
}

yyjson_val *device_condition(yyjson_val *object, const char *type)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_at(object, "status.conditions"), i, max, v) {
        if (streq(json_str_at(v, "type"), type))
            return v;
    }
    return NULL;
}

size_t device_ports(const struct device *d, struct device_port out[static DEVICE_PORTS_MAX])
{
    yyjson_val *one;
    size_t i, max, n = 0;

    if (d->port == 0)
        return 0;
    out[n++] = (struct device_port){d->port, NULL};
    yyjson_arr_foreach (d->ports, i, max, one) {
        uint16_t port = (uint16_t)json_int_at(one, "port", 0);
        const char *name = json_str_at(one, "name");
        if (i > 0 && port && name && n < DEVICE_PORTS_MAX)
            out[n++] = (struct device_port){port, name};
    }
    return n;
}
