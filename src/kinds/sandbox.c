#include "kinds/sandbox.h"

#include <stdio.h>

#include "base/quantity.h"
#include "base/str.h"

static const char *or_default(const char *s, const char *otherwise)
{
    return s ? s : otherwise;
}

static enum pull_policy read_policy(const char *s)
{
    return streq(s, "Always") ? PULL_ALWAYS : streq(s, "Never") ? PULL_NEVER : PULL_IF_NOT_PRESENT;
}

static struct sandbox_amount read_amount(yyjson_val *object, const char *otherwise, const char *most)
{
    int64_t a = json_int_at(object, otherwise, 0), b = json_int_at(object, most, 0);
    return (struct sandbox_amount){a > 0 ? (uint64_t)a : 0, b > 0 ? (uint64_t)b : 0};
}

void sandbox_read(yyjson_val *object, struct sandbox *out)
{
    *out = (struct sandbox){
        .name = json_str_at(object, "metadata.name"),
        .uid = json_str_at(object, "metadata.uid"),
        .generation = json_int_at(object, "metadata.generation", 0),
        .image = json_str_at(object, "spec.cpuImageName"),
        .gpu_images = json_at(object, "spec.gpuImageSet"),
        .pull_secret = json_at(object, "spec.imagePullSecret") != NULL,
        .pull_policy = read_policy(json_str_at(object, "spec.imagePullPolicy")),
        .command = json_at(object, "spec.command"),
        .args = json_at(object, "spec.args"),
        .env = json_at(object, "spec.env"),
        .volumes = json_at(object, "spec.volumes"),
        .volume_mounts = json_at(object, "spec.volumeMounts"),
        .socket = json_str_at(object, "spec.socket"),
        .ports = json_at(object, "spec.ports"),
        .home = or_default(json_str_at(object, "spec.home"), "/home/student"),
        .readiness_path = or_default(json_str_at(object, "spec.readinessPath"), "/"),
        .hidden = json_bool_at(object, "spec.hidden", false),
        .deprecated = json_str_at(object, "spec.deprecated"),
        .cpu = read_amount(object, "spec.resources.defaultCpuMilli", "spec.resources.maxCpuMilli"),
        .memory = read_amount(object, "spec.resources.defaultMemoryMiB", "spec.resources.maxMemoryMiB"),
        .shm = json_str_at(object, "spec.shmSize"),
        .tmp = json_str_at(object, "spec.tmpSize"),
        .processes = (unsigned)json_int_at(object, "spec.processes", 0),
        .network = json_bool_at(object, "spec.network", false),
        .network_allow = json_at(object, "spec.networkAllow"),
        .allow_service_workers = json_bool_at(object, "spec.allowServiceWorkers", false),
        .idle_stop = json_str_at(object, "spec.idleStop"),
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

static void add_image(struct sandbox_image *list, size_t *n, const char *resource, const char *reference)
{
    if (reference && *reference && *n < SANDBOX_IMAGES_MAX)
        list[(*n)++] = (struct sandbox_image){resource, reference};
}

size_t sandbox_images(const struct sandbox *s, struct sandbox_image list[static SANDBOX_IMAGES_MAX])
{
    size_t n = 0, i, max;
    yyjson_val *key, *v;

    add_image(list, &n, NULL, s->image);
    yyjson_obj_foreach (s->gpu_images, i, max, key, v)
        add_image(list, &n, yyjson_get_str(key), yyjson_get_str(v));
    return n;
}

yyjson_val *sandbox_volume(const struct sandbox *s, const char *name)
{
    yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach (s->volumes, i, max, one) {
        if (streq(json_str_at(one, "name"), name))
            return one;
    }
    return NULL;
}

#define EMPTY_DIR_MIB 64

static uint64_t size_of_empty_dir(yyjson_val *empty)
{
    int64_t mib = json_int_at(empty, "sizeMiB", EMPTY_DIR_MIB);
    const char *limit = json_str_at(empty, "sizeLimit");
    uint64_t bytes;

    if (limit)
        return quantity_parse(str_from(limit), PORTION_MAX, &bytes) == 0 ? bytes : 0;
    return mib > 0 ? (uint64_t)mib << 20 : 0;
}

size_t sandbox_scratch(const struct sandbox *s, struct sandbox_scratch list[static SANDBOX_SCRATCH_MAX])
{
    yyjson_val *one;
    size_t n = 0, i, max;

    yyjson_arr_foreach (s->volume_mounts, i, max, one) {
        yyjson_val *empty = yyjson_obj_get(sandbox_volume(s, json_str_at(one, "name")), "emptyDir");
        const char *path = json_str_at(one, "mountPath");
        uint64_t size = size_of_empty_dir(empty);
        if (yyjson_is_obj(empty) && path && size && n < SANDBOX_SCRATCH_MAX)
            list[n++] = (struct sandbox_scratch){path, size};
    }
    return n;
}

size_t sandbox_entrances(const struct sandbox *s, struct sandbox_port out[static SANDBOX_ENTRANCES_MAX])
{
    size_t n = 0;

    if (s->socket)
        out[n++] = (struct sandbox_port){.name = "main"};
    return n + sandbox_ports(s, out + n);
}
