#include "server/hooks/device_gpu.h"

static const struct config *config_of(const struct admission *a)
{
    return ((const struct hook_context *)a->context)->config;
}

static unsigned gpus_asked(const struct admission *a)
{
    return (unsigned)yyjson_mut_get_uint(json_mut_at(a->object, "spec.deviceGpu"));
}

int device_check_gpus_asked(struct admission *a, struct error **err)
{
    unsigned limit = config_of(a)->student_gpu_limit;

    if (gpus_asked(a) <= limit)
        return 0;
    if (limit == 0)
        return error_set(err, REASON_FORBIDDEN,
                         "spec.deviceGpu: only an administrator may create an environment with a GPU");
    return error_set(err, REASON_FORBIDDEN, "spec.deviceGpu: at most %u without an administrator (studentGpuLimit)",
                     limit);
}

static bool is_offered(const struct config *c, const char *driver)
{
    for (char **key = c->gpu_resources; key && *key; key++)
        if (streq(*key, driver))
            return true;
    return false;
}

static int check_driver(struct admission *a, const char *driver, const struct sandbox *sandbox, struct error **err)
{
    const struct config *c = config_of(a);

    if (driver == NULL || *driver == '\0')
        return error_add_cause(err, "spec.gpuDriver", "FieldValueRequired",
                               "both gpu driver and defaultGpuDriver are empty");
    if (!is_offered(c, driver))
        return error_add_cause(err, "spec.gpuDriver", "FieldValueNotSupported",
                               "gpu driver %s is not allowed (gpuResourceKeys)", driver);
    if (sandbox_image(sandbox, driver) == NULL)
        return error_add_cause(err, "spec.gpuDriver", "FieldValueNotFound", "gpu image %s not found in sandbox %s",
                               driver, sandbox->name);
    return 0;
}

int device_choose_gpus(struct admission *a, const struct sandbox *sandbox, struct error **err)
{
    const struct config *c = config_of(a);
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");
    const char *driver = json_mut_str_at(spec, "gpuDriver");
    unsigned n = gpus_asked(a);

    if (n == 0 && c->use_default_gpu)
        n = c->default_gpu;
    json_mut_set_str(a->doc, spec, "deviceType", n ? "gpu" : "cpu");
    if (n == 0) {
        if (driver)
            admission_warn(a, "spec.gpuDriver has no effect: spec.deviceGpu asks for none");
        return 0;
    }
    if (driver == NULL)
        driver = c->gpu_driver;
    if (check_driver(a, driver, sandbox, err) < 0)
        return -1;
    json_mut_set_int(a->doc, spec, "deviceGpu", n);
    json_mut_set_str(a->doc, spec, "gpuDriver", driver);
    return 0;
}

/* --- What is used of them --- */

static yyjson_mut_val *find_said(yyjson_mut_val *list, const char *id)
{
    yyjson_mut_val *one;
    size_t i, n;

    yyjson_mut_arr_foreach (list, i, n, one) {
        if (streq(json_mut_str_at(one, "id"), id))
            return one;
    }
    return NULL;
}

void device_keep_gpus(struct admission *a)
{
    static const char *const used[] = {"memoryUsedBytes", "memoryShareBytes", "utilization", "processes"};
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status"), *said = yyjson_mut_obj_get(status, "gpus"),
                   *kept = yyjson_val_mut_copy(a->doc, json_at(a->old, "status.gpus")), *one;
    size_t i, n;

    if (kept == NULL) {
        json_mut_remove(status, "gpus");
        return;
    }
    yyjson_mut_arr_foreach (kept, i, n, one) {
        yyjson_mut_val *now = find_said(said, json_mut_str_at(one, "id"));
        for (size_t j = 0; j < ARRAY_SIZE(used); j++) {
            yyjson_mut_val *value = yyjson_mut_obj_get(now, used[j]);
            if (yyjson_mut_is_int(value))
                json_mut_set_int(a->doc, one, used[j], yyjson_mut_get_sint(value));
            else
                json_mut_remove(one, used[j]);
        }
    }
    json_mut_set(a->doc, status, "gpus", kept);
}
