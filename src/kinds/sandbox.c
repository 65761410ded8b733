#include "kinds/sandbox.h"

#include <stdio.h>

#include "base/str.h"

static const char *or_default(const char *s, const char *otherwise)
{
    return s ? s : otherwise;
}

void sandbox_read(yyjson_val *object, struct sandbox *out)
{
    *out = (struct sandbox){
        .name = json_str_at(object, "metadata.name"),
        .uid = json_str_at(object, "metadata.uid"),
        .image = json_str_at(object, "spec.cpuImageName"),
        .gpu_images = json_at(object, "spec.gpuImageSet"),
        .command = json_at(object, "spec.command"),
        .args = json_at(object, "spec.args"),
        .env = json_at(object, "spec.env"),
        .socket = json_str_at(object, "spec.socket"),
        .ports = json_at(object, "spec.ports"),
        .home = or_default(json_str_at(object, "spec.home"), "/home/student"),
        .readiness_path = or_default(json_str_at(object, "spec.readinessPath"), "/"),
        .network = json_bool_at(object, "spec.network", false),
        .network_allow = json_at(object, "spec.networkAllow"),
        .allow_service_workers = json_bool_at(object, "spec.allowServiceWorkers", false),
        .run_as_user = json_int_at(object, "spec.runAsUser", 1000),
    };
}

static bool read_port(yyjson_val *one, size_t i, struct sandbox_port *out)
{
    const char *name = json_str_at(one, "name");
    yyjson_val *port = yyjson_is_obj(one) ? yyjson_obj_get(one, "port") : one;
    uint64_t number = yyjson_is_uint(port) ? yyjson_get_uint(port) : 0;

    if (number == 0 || number > UINT16_MAX || (name && strlen(name) > SANDBOX_PORT_NAME_MAX))
        return false;
    out->port = (uint16_t)number;
    if (name)
        snprintf(out->name, sizeof(out->name), "%s", name);
    else
        snprintf(out->name, sizeof(out->name), "port-%u", (unsigned)(i & 0xff));
    return is_dns_label(str_from(out->name));
}

size_t sandbox_ports(const struct sandbox *s, struct sandbox_port out[static SANDBOX_PORTS_MAX])
{
    yyjson_val *one;
    size_t i, n, len = 0;

    yyjson_arr_foreach (s->ports, i, n, one) {
        if (len < SANDBOX_PORTS_MAX && read_port(one, i, &out[len]))
            len++;
    }
    return len;
}

/* A sandbox without a set has one image for everything. */
const char *sandbox_image(const struct sandbox *s, const char *gpu_driver)
{
    if (gpu_driver == NULL || yyjson_obj_size(s->gpu_images) == 0)
        return s->image;
    const char *image = yyjson_get_str(yyjson_obj_get(s->gpu_images, gpu_driver));
    return image && *image ? image : NULL;
}
