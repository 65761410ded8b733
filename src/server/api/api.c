#include "server/api/api.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/health.h"
#include "server/api/heavy.h"
#include "server/api/metrics.h"
#include "server/api/route.h"
#include "server/api/verbs.h"
#include "server/api/watch.h"
#include "server/api/write.h"
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

/* What a definition names is answered by somebody, and nothing else is. */
static int check_subresources(const struct api_resource *r, struct error **err)
{
    const struct subresource_handler *handlers = r->hooks ? r->hooks->subresources : NULL;

    for (size_t i = 0; i < r->kind->subresources_len; i++)
        if (!subresource_handler_find(handlers, r->kind->subresources[i].name))
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

    pthread_mutex_init(&a->writes_lock, NULL);
    pthread_cond_init(&a->writes_done, NULL);
    a->options = *options;
    a->resources_len = options->resources_len;
    a->resources = xcalloc(options->resources_len + 1, sizeof(*a->resources));
    memcpy(a->resources, options->resources, options->resources_len * sizeof(*a->resources));
    a->options.resources = a->resources;
    if (a->options.version == NULL)
        a->options.version = "0";
    make_documents(a);
    a->metrics = metrics_new(a);
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
    writes_wait(a);
    watch_hub_free(a->watches);
    metrics_free(a->metrics);
    openapi_free(a->openapi);
    discovery_free(a->discovery);
    pthread_cond_destroy(&a->writes_done);
    pthread_mutex_destroy(&a->writes_lock);
    free(a->resources);
    free(a->kinds);
    free(a);
}

static bool is_below(struct str path, const char *root)
{
    size_t n = strlen(root);
    return path.n >= n && memcmp(path.p, root, n) == 0 && (path.n == n || path.p[n] == '/');
}

static struct str without_slash(struct str path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

bool api_owns(struct str path)
{
    bool public;

    return is_below(path, "/apis") || is_below(path, "/api") || is_below(path, "/openapi") ||
           health_owns(without_slash(path), &public);
}

/* --- What is no resource --- */

/* Documents live as long as the server. */
static void keep(void *owner)
{
}

static void reply_document(struct request *r, const struct document *d)
{
    const char *held = http_header(r->x, "If-None-Match");

    http_add_header(r->x, "Vary", "Accept");
    if (d->etag)
        http_add_header(r->x, "ETag", d->etag);
    if (held && d->etag && strstr(held, d->etag))
        return request_reply(r, 304, NULL, STR(""));
    request_count(r, 200);
    /* As long as the server runs it stays the same; a new version has another tag. */
    http_add_header(r->x, "Cache-Control", "no-cache, private");
    http_reply_shared(r->x, 200, d->content_type, d->body, NULL, keep);
}

static bool is_read(struct request *r)
{
    return http_method(r->x) == HTTP_GET || http_method(r->x) == HTTP_HEAD;
}

static int authorize_path(struct request *r, struct str path, struct error **err)
{
    r->name = arena_strndup(r->arena, path.p, path.n);
    struct attributes what = {.verb = "get", .name = r->name};
    int rc = r->api->options.authorize(&r->who, &what) == VERDICT_ALLOW ? 0 : error_forbidden(err, r);
    r->name = NULL;
    return rc;
}

static int reply_other(struct request *r, struct str path, struct error **err)
{
    const char *accept = http_header(r->x, "Accept");
    const struct document *d;
    bool public = false, health = health_owns(path, &public);

    if (!public && authorize_path(r, path, err) < 0)
        return -1;
    if (!health && !(d = discovery_find(r->api->discovery, path, accept)) &&
        !(d = openapi_find(r->api->openapi, path, accept)))
        return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
    if (!is_read(r))
        return route_method_not_allowed(r, "GET, HEAD", err);
    if (health)
        health_handle(r, path);
    else
        reply_document(r, d);
    return 0;
}

/* --- Resources --- */

static int authorize(struct request *r, struct error **err)
{
    struct attributes what = {
        .verb = verb_name(r->verb), .kind = r->resource->kind, .name = r->name, .subresource = r->subresource};

    r->verdict = r->api->options.authorize(&r->who, &what);
    if (r->verdict == VERDICT_DENY || (r->verdict == VERDICT_OWN && !r->resource->kind->owner))
        return error_forbidden(err, r);
    return 0;
}

static int choose_representation(struct request *r, struct error **err)
{
    r->representation = negotiate(http_header(r->x, "Accept"));
    /* A hook's own subresource answers in its own way (a log is plain text). */
    if (r->representation != REPRESENT_NONE || r->handler)
        return 0;
    return error_set(err, REASON_NOT_ACCEPTABLE, "only the following media types are accepted: application/json");
}

static int dispatch(struct request *r, struct error **err)
{
    static void (*const verbs[VERBS])(struct request * r) = {
        [VERB_GET] = verb_get,       [VERB_LIST] = verb_list,
        [VERB_WATCH] = verb_watch,   [VERB_CREATE] = verb_create,
        [VERB_UPDATE] = verb_update, [VERB_PATCH] = verb_patch,
        [VERB_DELETE] = verb_delete, [VERB_DELETECOLLECTION] = verb_deletecollection,
    };

    if (heavy_check_body(r, err) < 0)
        return -1;
    return heavy_run(r, r->handler ? verb_of_handler : verbs[r->verb], err);
}

/* A watch or a log lasts, and counts as such; anything else until it is answered. */
static int enter(struct request *r, const struct flow_caller *caller, struct error **err)
{
    enum flow_what what = r->verb == VERB_WATCH ? FLOW_WATCHES : r->handler ? r->handler->load : FLOW_REQUESTS;

    return flow_take(r->api->options.flow, what, 1, caller, r->arena, r->started_us, err);
}

static int answer(struct request *r, const struct flow_caller *caller, struct error **err)
{
    struct str path = http_path(r->x);

    if (flow_has_time(r->api->options.flow, caller, r->started_us, err) < 0)
        return -1;
    int rc = route(r, path, err);
    if (rc >= 0 && enter(r, caller, err) < 0)
        return -1;
    if (rc == 0)
        return reply_other(r, without_slash(path), err);
    /* Who may not come in need not learn what there is. */
    if (rc < 0 && r->who.role == 0)
        return error_forbidden(err, r);
    if (rc < 0 || authorize(r, err) < 0 || choose_representation(r, err) < 0)
        return -1;
    return dispatch(r, err);
}

static const char *copy(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

struct flow_caller api_caller(const struct api *a, const struct http_exchange *x, const struct identity *who)
{
    const struct api_options *o = &a->options;
    const char *address = http_header(x, "X-Real-IP");

    if (o->reserved && o->reserved(who))
        return (struct flow_caller){.rank = FLOW_RESERVED};
    return who->uid ? flow_user(who->uid) : flow_stranger(address ? address : "");
}

void api_handle(struct api *a, struct http_exchange *x, const struct identity *who)
{
    struct arena *arena = http_arena(x);
    struct request *r = arena_alloc(arena, sizeof(*r));
    struct error *err = NULL;

    *r = (struct request){.api = a, .x = x, .arena = arena, .started_us = clock_monotonic_us()};
    r->who = (struct identity){.name = copy(arena, who->name ? who->name : "system:anonymous"),
                               .role = who->role,
                               .uid = copy(arena, who->uid),
                               .session = copy(arena, who->session),
                               .certificate = copy(arena, who->certificate)};
    struct flow_caller caller = api_caller(a, x, who);
    int64_t began = r->started_us;
    if (answer(r, &caller, &err) < 0)
        request_fail(r, err);
    /* The request may be gone. */
    int64_t now = clock_monotonic_us();
    flow_charge(a->options.flow, &caller, now - began, now);
}
