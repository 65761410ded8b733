#include "server/api/api.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/api/metrics.h"
#include "server/api/request.h"
#include "server/api/verbs.h"
#include "server/api/watch_hub.h"
#include "server/documents/discovery.h"
#include "server/documents/openapi.h"

static void make_documents(struct api *a)
{
    const struct kind **kinds = xcalloc(a->resources_len + 1, sizeof(struct kind *));

    for (size_t i = 0; i < a->resources_len; i++)
        kinds[i] = a->resources[i].kind;
    a->kinds = kinds;
    a->discovery = discovery_new(kinds, a->resources_len);
    a->openapi = openapi_new(kinds, a->resources_len, a->options.version);
}

static bool has_handler(const struct subresource_handler *h, const char *name)
{
    for (; h && h->name; h++)
        if (streq(h->name, name))
            return true;
    return false;
}

/* What a definition names is answered by somebody, and nothing else is. */
static int check_subresources(const struct api_resource *r, struct error **err)
{
    const struct subresource_handler *handlers = r->hooks ? r->hooks->subresources : NULL;

    for (size_t i = 0; i < r->kind->subresources_len; i++)
        if (!has_handler(handlers, r->kind->subresources[i].name))
            return error_set(err, REASON_INTERNAL, "nobody answers the subresource %s/%s", r->kind->plural,
                             r->kind->subresources[i].name);
    for (const struct subresource_handler *h = handlers; h && h->name; h++)
        if (!kind_subresource(r->kind, h->name))
            return error_set(err, REASON_INTERNAL, "the definition of %s does not name the subresource %s",
                             r->kind->plural, h->name);
    return 0;
}

static int check_resource(const struct api *a, const struct api_resource *r, struct error **err)
{
    if (r->hooks && r->hooks->prepare && !a->options.workers)
        return error_set(err, REASON_INTERNAL, "a kind prepares its writes, and there are no workers for it");
    return check_subresources(r, err);
}

struct api *api_new(const struct api_options *options, struct error **err)
{
    struct api *a = xcalloc(1, sizeof(*a));

    pending_init(&a->pending);
    a->options = *options;
    a->resources_len = options->resources_len;
    a->resources = xcalloc(options->resources_len + 1, sizeof(*a->resources));
    memcpy(a->resources, options->resources, options->resources_len * sizeof(*a->resources));
    a->options.resources = a->resources;
    if (a->options.version == NULL)
        a->options.version = "0";
    make_documents(a);
    a->metrics = metrics_new(a->kinds, a->resources_len);
    a->watches = watch_hub_new(a);
    for (size_t i = 0; i < a->resources_len; i++)
        if (check_resource(a, &a->resources[i], err) < 0) {
            api_free(a);
            return NULL;
        }
    return a;
}

void api_free(struct api *a)
{
    if (a == NULL)
        return;
    pending_wait(&a->pending);
    watch_hub_free(a->watches);
    metrics_free(a->metrics);
    openapi_free(a->openapi);
    discovery_free(a->discovery);
    pending_destroy(&a->pending);
    free(a->resources);
    free(a->kinds);
    free(a);
}

struct flow_caller api_caller(const struct api *a, const struct identity *who)
{
    return request_caller(a, who);
}

const struct api_resource *api_resources(const struct api *a, size_t *n)
{
    *n = a->resources_len;
    return a->resources;
}

int api_create_in_txn(struct api *a, struct store_txn *t, const struct kind *kind, yyjson_val *object,
                      const struct identity *who, struct error **err)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    const struct operation op = {.verb = VERB_CREATE, .kind = kind, .who = *who, .arena = arena};

    return create_in_txn(request_new(a, &op, NULL, NULL), t, object, err);
}
