#include "server/hooks/resource.h"

#include "base/alloc.h"

/* --- Ports --- */

static struct resource_range port_range(const struct config *c)
{
    return (struct resource_range){c->environments.first, c->environments.last};
}

static bool is_port_of_others(const struct hook_context *context, uint64_t port)
{
    for (size_t i = 0; i < context->excluded_ports_len; i++)
        if (context->excluded_ports[i] == port)
            return true;
    return false;
}

static void write_address(struct admission *a, uint64_t port)
{
    const struct hook_context *context = a->context;
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status"), *urls = yyjson_mut_arr(a->doc);

    json_mut_set_int(a->doc, status, "port", (int64_t)port);
    if (port) {
        _cleanup_free_ char *url = config_environment_url(context->config, (uint16_t)port);
        yyjson_mut_arr_add_strcpy(a->doc, urls, url);
    }
    json_mut_set(a->doc, status, "urls", urls);
}

/* --- Host ids --- */

/* Range 0 holds the service users. */
static struct resource_range host_id_range(const struct config *c)
{
    return (struct resource_range){1, c->host_id_count - 1};
}

static void write_host_id(struct admission *a, uint64_t range)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;

    json_mut_set_int(a->doc, json_mut_make_obj(a->doc, a->object, "status"), "hostId",
                     (int64_t)(c->host_id_base + range * c->host_id_size));
}

static int refuse_host_ids(const struct config *c, struct error **err)
{
    return error_add_cause(err, "spec.openHydraUsername", "FieldValueInvalid",
                           "all %u ranges of host ids are given to users (hostIdRanges)", c->host_id_count);
}

const struct resource limited_resources[] = {
    /* A user's files bear them, and are there when the user is made again. */
    {.name = HOST_IDS,
     .holder = HOLDER_USER,
     .range = host_id_range,
     .write = write_host_id,
     .refuse = refuse_host_ids},
    /* Browsers remember origins: a port that was somebody's goes out last. */
    {.name = "port",
     .holder = HOLDER_USER,
     .units = "port-holder",
     .range = port_range,
     .is_withheld = is_port_of_others,
     .write = write_address,
     .reason = "PortsExhausted",
     .message = "all ports for environments are given to users: widen environmentListen or delete users"},
};
const size_t limited_resources_len = ARRAY_SIZE(limited_resources);
_Static_assert(ARRAY_SIZE(limited_resources) <= RESOURCES_MAX, "RESOURCES_MAX");
