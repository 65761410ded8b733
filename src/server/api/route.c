#include "server/api/route.h"

#include <stdlib.h>

#include "base/encoding.h"
#include "server/model/text_name.h"

struct route {
    struct operation *op;
    enum http_method method;
    const char **allow;
};

static int not_found(struct error **err)
{
    return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
}

static enum verb collection_verb(const struct route *r)
{
    switch (r->method) {
    case HTTP_GET:
        return operation_flag(r->op, "watch") ? VERB_WATCH : VERB_LIST;
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

static int set_verb(struct route *r, enum verb verb, const char *allow, struct error **err)
{
    r->op->verb = verb;
    if (verb != VERB_NONE)
        return 0;
    *r->allow = allow;
    return error_set(err, REASON_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource");
}

static int route_status(struct route *r, struct error **err)
{
    enum verb verb = object_verb(r->method);

    return set_verb(r, verb == VERB_DELETE ? VERB_NONE : verb, "GET, HEAD, PUT, PATCH", err);
}

static const char *allowed_methods(const struct kind_subresource *s, struct arena *a)
{
    static const struct {
        const char *verb, *methods;
    } known[] = {{"get", "GET, HEAD"}, {"create", "POST"}, {"update", "PUT"}, {"patch", "PATCH"}, {"delete", "DELETE"}};
    const char *all = "";

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (kind_subresource_has(s, known[i].verb))
            all = arena_printf(a, "%s%s%s", all, *all ? ", " : "", known[i].methods);
    return s->resumes ? arena_printf(a, "%s, OPTIONS", all) : all;
}

static int route_own(struct route *r, const struct kind_subresource *s, struct error **err)
{
    /* What tus asks before it begins is for whoever may begin. */
    bool creates = r->method == HTTP_POST || (r->method == HTTP_OPTIONS && s->resumes);
    enum verb verb = creates ? VERB_CREATE : object_verb(r->method);

    if (verb != VERB_NONE && !kind_subresource_has(s, verb_name(verb)))
        verb = VERB_NONE;
    return set_verb(r, verb, allowed_methods(s, r->op->arena), err);
}

static int route_subresource(struct route *r, struct error **err)
{
    const struct kind *k = r->op->kind;
    const struct kind_subresource *own = kind_subresource(k, r->op->subresource);

    if (streq(r->op->subresource, "status") && k->has_status)
        return route_status(r, err);
    return own ? route_own(r, own, err) : not_found(err);
}

/* What a path names of a resource. */
struct place {
    const char *group, *version, *namespace, *plural, *name, *subresource; /* NULL: not there */
};

static const struct kind *find_kind(const struct api_resource *resources, size_t n, const struct place *p)
{
    for (size_t i = 0; i < n; i++) {
        const struct kind *k = resources[i].kind;
        if (streq(k->plural, p->plural) && streq(k->group, p->group) && streq(k->version, p->version))
            return k;
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

#define SEGMENTS_MAX 8

/* False: what is there is no resource. */
static bool read_place(struct arena *a, struct str path, struct place *out)
{
    const char *segment[SEGMENTS_MAX + 1] = {NULL}, **at = segment;
    size_t n = split_path(a, path, segment, SEGMENTS_MAX);
    bool core = streq(segment[0], "api");

    if (n > SEGMENTS_MAX || !(core || streq(segment[0], "apis")))
        return false;
    *out = (struct place){.group = core ? "" : segment[1], .version = segment[core ? 1 : 2]};
    at = &segment[core ? 2 : 3];
    if (n > (size_t)(at - segment) + 2 && streq(at[0], "namespaces")) {
        out->namespace = at[1];
        at += 2;
    }
    out->plural = at[0];
    out->name = at[0] ? at[1] : NULL;
    out->subresource = out->name ? at[2] : NULL;
    return out->plural && !(out->subresource && at[3]);
}

/* An object is where its namespace is; all of a kind may be asked for without. */
static int check_namespace(const struct route *r, const struct place *p, struct error **err)
{
    const struct kind *k = r->op->kind;

    if (p->namespace ? streq(p->namespace, k->namespace) : !k->namespace || (!p->name && r->method == HTTP_GET))
        return 0;
    if (p->namespace && k->namespace)
        return error_set(err, REASON_NOT_FOUND, "namespaces \"%s\" not found", p->namespace);
    return not_found(err);
}

/* What is no resource is read, if anything. */
static enum verb document_verb(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD ? VERB_GET : VERB_NONE;
}

static void name_object(struct operation *op, const char *asked)
{
    bool is_text = op->kind->name_text && text_name_is_text(asked);
    char *name = is_text ? text_name_make(op->kind->singular, asked) : NULL;

    op->text = name ? asked : NULL;
    op->name = name ? name : asked;
    if (name)
        arena_defer(op->arena, free, name);
}

int route_operation(const struct api_resource *resources, size_t n, enum http_method method, struct str path,
                    struct operation *op, const char **allow, struct error **err)
{
    struct route r = {op, method, allow};
    struct place p = {.group = NULL};

    if (read_place(op->arena, path, &p))
        op->kind = find_kind(resources, n, &p);
    if (op->kind == NULL) {
        op->verb = document_verb(method);
        return 0;
    }
    if (check_namespace(&r, &p, err) < 0)
        return -1;
    name_object(op, p.name);
    op->subresource = p.subresource;
    if (op->subresource)
        return route_subresource(&r, err);
    if (op->name)
        return set_verb(&r, object_verb(method), "GET, HEAD, PUT, PATCH, DELETE", err);
    return set_verb(&r, collection_verb(&r), "GET, HEAD, POST, DELETE", err);
}
