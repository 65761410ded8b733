#include "server/api/route.h"

#include <stdlib.h>

#include "base/encoding.h"

int route_method_not_allowed(struct request *r, const char *allow, struct error **err)
{
    http_add_header(r->x, "Allow", allow);
    return error_set(err, REASON_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource");
}

static enum verb collection_verb(struct request *r)
{
    switch (http_method(r->x)) {
    case HTTP_GET:
        return request_flag(r, "watch") ? VERB_WATCH : VERB_LIST;
    case HTTP_HEAD:
        return VERB_LIST;
    case HTTP_POST:
        return VERB_CREATE;
    case HTTP_DELETE:
        return VERB_DELETECOLLECTION;
    case HTTP_PUT:
    case HTTP_PATCH:
    case HTTP_OPTIONS:
    case HTTP_OTHER:
    default:
        return VERB_NONE;
    }
}

static enum verb object_verb(enum http_method method)
{
    switch (method) {
    case HTTP_GET:
    case HTTP_HEAD:
        return VERB_GET;
    case HTTP_PUT:
        return VERB_UPDATE;
    case HTTP_PATCH:
        return VERB_PATCH;
    case HTTP_DELETE:
        return VERB_DELETE;
    case HTTP_POST:
    case HTTP_OPTIONS:
    case HTTP_OTHER:
    default:
        return VERB_NONE;
    }
}

static int set_verb(struct request *r, enum verb verb, const char *allow, struct error **err)
{
    if (verb == VERB_NONE)
        return route_method_not_allowed(r, allow, err);
    r->verb = verb;
    return 1;
}

static int route_status(struct request *r, struct error **err)
{
    enum verb verb = object_verb(http_method(r->x));

    return set_verb(r, verb == VERB_DELETE ? VERB_NONE : verb, "GET, HEAD, PUT, PATCH", err);
}

static const char *allowed_methods(const struct kind_subresource *s, struct arena *a)
{
    static const struct {
        const char *verb, *methods;
    } known[] = {{"get", "GET, HEAD"}, {"create", "POST"}, {"update", "PUT"}};
    const char *all = "";

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (kind_subresource_has(s, known[i].verb))
            all = arena_printf(a, "%s%s%s", all, *all ? ", " : "", known[i].methods);
    return all;
}

const struct subresource_handler *subresource_handler_find(const struct subresource_handler *h, const char *name)
{
    for (; h && h->name; h++)
        if (streq(h->name, name))
            return h;
    return NULL;
}

static int route_handler(struct request *r, const struct kind_subresource *s, struct error **err)
{
    enum http_method method = http_method(r->x);
    enum verb verb = method == HTTP_POST ? VERB_CREATE : object_verb(method);

    r->own = s;
    r->handler = subresource_handler_find(r->resource->hooks->subresources, s->name);
    if (verb != VERB_NONE && !kind_subresource_has(s, verb_name(verb)))
        verb = VERB_NONE;
    return set_verb(r, verb, allowed_methods(s, r->arena), err);
}

static int route_subresource(struct request *r, struct error **err)
{
    const struct kind_subresource *own = kind_subresource(r->resource->kind, r->subresource);

    if (streq(r->subresource, "status") && r->resource->kind->has_status)
        return route_status(r, err);
    if (own)
        return route_handler(r, own, err);
    return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
}

static const struct api_resource *find_resource(const struct api *a, const char *group, const char *version,
                                                const char *plural)
{
    for (size_t i = 0; i < a->resources_len; i++) {
        const struct kind *k = a->resources[i].kind;
        if (streq(k->plural, plural) && streq(k->group, group) && streq(k->version, version))
            return &a->resources[i];
    }
    return NULL;
}

/* The decoded segments of the path, at most `max`. Returns their number, max + 1 where there are more or one is empty
 * or badly encoded. A trailing slash is no segment. */
static size_t split_path(struct arena *a, struct str path, const char **out, size_t max)
{
    struct str segment;
    size_t n = 0;

    if (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n == 0 || path.p[0] != '/')
        return max + 1;
    path = (struct str){path.p + 1, path.n - 1};
    while (str_split(&path, '/', &segment)) {
        char *decoded = segment.n ? percent_decode(segment, false) : NULL;
        if (decoded == NULL || n == max) {
            free(decoded);
            return max + 1;
        }
        arena_defer(a, free, decoded);
        out[n++] = decoded;
    }
    return n;
}

int route(struct request *r, struct str path, struct error **err)
{
    const char *segment[6] = {NULL};
    size_t n = split_path(r->arena, path, segment, ARRAY_SIZE(segment));

    if (n < 4 || n > ARRAY_SIZE(segment) || !streq(segment[0], "apis"))
        return 0;
    r->resource = find_resource(r->api, segment[1], segment[2], segment[3]);
    if (r->resource == NULL)
        return 0;
    r->name = segment[4];
    r->subresource = segment[5];
    if (r->subresource)
        return route_subresource(r, err);
    if (r->name)
        return set_verb(r, object_verb(http_method(r->x)), "GET, HEAD, PUT, PATCH, DELETE", err);
    return set_verb(r, collection_verb(r), "GET, HEAD, POST, DELETE", err);
}
