#include "kinds/host.h"

static bool is_taken_out(yyjson_val *object, const char *id)
{
    yyjson_val *wishes = json_at(object, "spec.gpus"), *one;
    size_t i, n;

    if (json_bool_at(object, "spec.unschedulable", false))
        return true;
    yyjson_arr_foreach (wishes, i, n, one) {
        if (streq(json_str_at(one, "id"), id) && json_bool_at(one, "unschedulable", false))
            return true;
    }
    return false;
}

static unsigned units_of(yyjson_val *gpu)
{
    int64_t units = json_int_at(gpu, "units", 1);

    return units < 1 ? 1 : units > HOST_GPU_UNITS_MAX ? HOST_GPU_UNITS_MAX : (unsigned)units;
}

void host_read(yyjson_val *object, struct arena *a, struct host *out)
{
    yyjson_val *list = json_at(object, "status.gpus"), *one;
    size_t i, n;

    *out = (struct host){.name = json_str_at(object, "metadata.name"),
                         .gpus = arena_alloc(a, HOST_GPUS_MAX * sizeof(*out->gpus))};
    yyjson_arr_foreach (list, i, n, one) {
        struct host_gpu g = {.id = json_str_at(one, "id"),
                             .resource = json_str_at(one, "resource"),
                             .units = units_of(one),
                             .healthy = json_bool_at(one, "healthy", true)};
        if (g.id == NULL || g.resource == NULL || out->gpus_len == HOST_GPUS_MAX)
            continue;
        g.offered = g.healthy && !is_taken_out(object, g.id);
        out->gpus[out->gpus_len++] = g;
    }
}
