#include "server/hooks/device_addresses.h"

#include "base/alloc.h"
#include "kinds/device.h"
#include "server/hooks/device_status.h"
#include "server/hooks/objects.h"

void device_write_urls(struct admission *a, const uint16_t *ports, size_t n)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;
    yyjson_mut_val *status = json_mut_make_obj(a->doc, a->object, "status"), *urls = yyjson_mut_arr(a->doc);

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *url = config_environment_url(c, ports[i]);
        yyjson_mut_arr_add_strcpy(a->doc, urls, url);
    }
    json_mut_set(a->doc, status, "urls", urls);
}

/* --- What is there already --- */

struct stale {
    const struct config *config;
    char **names;
    size_t n;
};

/* One says it of all: they are made alike. */
static bool is_stale(const struct config *c, const struct device *d)
{
    _cleanup_free_ char *url = d->port ? config_environment_url(c, d->port) : NULL;
    return url && d->url && !d->deleting && !streq(url, d->url);
}

static bool collect_stale(void *arg, struct object *o)
{
    struct stale *stale = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    struct device d;

    device_read(yyjson_doc_get_root(doc), &d);
    if (!is_stale(stale->config, &d))
        return true;
    stale->names = xreallocarray(stale->names, stale->n + 1, sizeof(*stale->names));
    stale->names[stale->n++] = xstrdup(o->name);
    return true;
}

static void renew(struct store_txn *t, struct hook_context *context, const char *name)
{
    _cleanup_json_ yyjson_doc *old = object_read(t, PLURAL_DEVICES, name);
    struct device_port entrances[DEVICE_PORTS_MAX];
    uint16_t ports[DEVICE_PORTS_MAX];
    struct device d;

    if (old == NULL)
        return;
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_doc_mut_copy(old, NULL);
    struct admission a = {.doc = doc, .object = yyjson_mut_doc_get_root(doc), .context = context};
    device_read(yyjson_doc_get_root(old), &d);
    size_t n = device_ports(&d, entrances);
    for (size_t i = 0; i < n; i++)
        ports[i] = entrances[i].port;
    device_write_urls(&a, ports, n);
    device_write_outputs(&a, false);
    object_write(t, PLURAL_DEVICES, doc);
}

int device_renew_addresses(struct store_txn *t, void *context, struct error **err)
{
    struct stale stale = {.config = ((struct hook_context *)context)->config};

    txn_essential(t);
    txn_list(t, PLURAL_DEVICES, collect_stale, &stale);
    for (size_t i = 0; i < stale.n; i++) {
        renew(t, context, stale.names[i]);
        free(stale.names[i]);
    }
    free(stale.names);
    return 0;
}
