#include "server/hooks/resource.h"

#include "base/alloc.h"
#include "kinds/sandbox.h"
#include "server/hooks/device_addresses.h"
#include "server/hooks/gpus.h"
#include "server/hooks/objects.h"
#include "server/hooks/stock.h"

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

static uint64_t number_of(const char *unit)
{
    unsigned long long number;

    return str_to_u64(str_from(unit), UINT32_MAX, &number) == 0 ? number : 0;
}

/* By what a device is entered, as its sandbox says. */
static size_t entrances_of(const struct admission *a, struct store_txn *t,
                           struct sandbox_port out[static SANDBOX_ENTRANCES_MAX])
{
    const char *name = json_mut_str_at(a->object, "status.sandboxName");
    _cleanup_json_ yyjson_doc *doc = name ? object_read(t, PLURAL_SANDBOXES, name) : NULL;
    struct sandbox s;

    if (doc == NULL)
        return 0;
    sandbox_read(yyjson_doc_get_root(doc), &s);
    return sandbox_entrances(&s, out);
}

static unsigned ports_needed(const struct admission *a, struct store_txn *t)
{
    struct sandbox_port entrances[SANDBOX_ENTRANCES_MAX];
    size_t n = entrances_of(a, t, entrances);

    return n ? (unsigned)n : 1;
}

/* The original's devices have one, and no list. */
static void write_ports(struct admission *a, yyjson_mut_val *status, struct store_txn *t, const char *const *ports,
                        size_t n)
{
    struct sandbox_port entrances[SANDBOX_ENTRANCES_MAX];
    size_t named = n > 1 ? entrances_of(a, t, entrances) : 0;
    yyjson_mut_val *list = yyjson_mut_arr(a->doc);

    json_mut_remove(status, "ports");
    for (size_t i = 0; i < n && i < named; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(a->doc, list);
        json_mut_set_str(a->doc, one, "name", entrances[i].name);
        json_mut_set_int(a->doc, one, "port", (int64_t)number_of(ports[i]));
    }
    if (yyjson_mut_arr_size(list))
        json_mut_set(a->doc, status, "ports", list);
}

static void write_addresses(struct allotment *al, struct admission *a, const char *const *ports, size_t n)
{
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status");
    uint16_t numbers[UNITS_MAX];

    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint16_t)number_of(ports[i]);
    json_mut_set_int(a->doc, status, "port", n ? (int64_t)numbers[0] : 0);
    device_write_urls(a, numbers, n);
    write_ports(a, status, al->t, ports, n);
}

static const char *say_ports(const struct claim *c, struct arena *arena)
{
    return "all ports for environments are given to users: widen environmentListen or delete users";
}

/* --- Host ids --- */

/* Range 0 holds the service users. */
static struct resource_range host_id_range(const struct config *c)
{
    return (struct resource_range){1, c->host_id_count - 1};
}

static void write_range(struct admission *a, const char *field, const char *range)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;

    json_mut_set_int(a->doc, json_mut_make_obj(a->doc, a->object, "status"), field,
                     (int64_t)(c->host_id_base + number_of(range) * c->host_id_size));
}

static void write_host_id(struct allotment *al, struct admission *a, const char *const *ranges, size_t n)
{
    struct str former =
        txn_secret(al->t, FORMER_HOST_IDS, str_from(json_mut_str_at(a->object, "spec.openHydraUsername")));

    if (n)
        write_range(a, "hostId", ranges[0]);
    if (former.p)
        write_range(a, "formerHostId", arena_strndup(al->arena, former.p, former.n));
}

static int refuse_host_ids(const struct config *c, struct error **err)
{
    return error_add_cause(err, "spec.openHydraUsername", "FieldValueInvalid",
                           "all %u ranges of host ids are given to users (hostIdRanges)", c->host_id_count);
}

/* --- GPUs --- */

static unsigned gpus_needed(const struct admission *a, struct store_txn *t)
{
    return (unsigned)yyjson_mut_get_uint(json_mut_at(a->object, "spec.deviceGpu"));
}

static const char *gpu_driver(const struct admission *a)
{
    const char *driver = json_mut_str_at(a->object, "spec.gpuDriver");

    return driver ? driver : ((const struct hook_context *)a->context)->config->gpu_driver;
}

static const char *say_gpus(const struct claim *c, struct arena *arena)
{
    if (c->total == 0)
        return arena_printf(arena, "there is no GPU here that is %s: it starts by itself when there is one", c->what);
    if (c->wanted > c->total)
        return arena_printf(arena,
                            "%zu units of %s are wanted, and there are %zu here in all: it starts by itself when there "
                            "are more",
                            c->wanted, c->what, c->total);
    return arena_printf(arena, "%zu of the %zu units of %s %s wanted: it starts by itself when %s free", c->wanted,
                        c->total, c->what, c->wanted == 1 ? "is" : "are", c->wanted == 1 ? "one is" : "so many are");
}

const struct resource limited_resources[] = {
    /* A user's files bear them, and are there after the user: whoever has the name next has others (allocation.h). */
    {.name = HOST_IDS,
     .holder = HOLDER_USER,
     .stock = &stock_counted,
     .range = host_id_range,
     .write = write_host_id,
     .refuse = refuse_host_ids},
    /* Browsers remember origins: a port that was somebody's goes out last. */
    {.name = "port",
     .holder = HOLDER_USER,
     .stock = &stock_numbers,
     .range = port_range,
     .is_withheld = is_port_of_others,
     .freed = "port-holder",
     .needed = ports_needed,
     .write = write_addresses,
     .reason = "PortsExhausted",
     .message = say_ports},
    {.name = GPU_UNITS,
     .holder = HOLDER_DEVICE,
     .stock = &stock_gpus,
     .needed = gpus_needed,
     .what = gpu_driver,
     .write = gpus_write,
     .reason = "WaitingForGPU",
     .message = say_gpus},
};
const size_t limited_resources_len = ARRAY_SIZE(limited_resources);
_Static_assert(ARRAY_SIZE(limited_resources) <= RESOURCES_MAX, "RESOURCES_MAX");
