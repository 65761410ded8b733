#include "server/api/over_http.h"

#include <strings.h>

#include "server/api/health.h"
#include "server/api/route.h"
#include "server/api/status.h"

struct http_call {
    struct http_exchange *x;
    struct operation op;
};

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

/* --- The answer --- */

static ssize_t read_source(void *source, char *out, size_t max)
{
    struct source *s = source;
    return s->read(s, out, max);
}

static void close_source(void *source)
{
    struct source *s = source;
    s->close(s);
}

static const struct http_stream_ops source_ops = {.read = read_source, .close = close_source};

static void wake_stream(void *x)
{
    http_stream_wake(x);
}

static void reply_source(struct http_exchange *x, const struct result *r)
{
    r->source->wake = wake_stream;
    r->source->wake_arg = x;
    http_stream(x, r->code, r->media_type, &source_ops, r->source);
}

static void reply_result(struct http_exchange *x, const struct result *r)
{
    for (const struct header *h = r->headers; h; h = h->next)
        http_add_header(x, h->name, h->value);
    http_add_header(x, "Cache-Control", "no-cache, private");
    if (r->source)
        reply_source(x, r);
    else if (r->release)
        http_reply_shared(x, r->code, r->media_type, r->body, r->owner, r->release);
    else
        http_reply(x, r->code, r->media_type, r->body);
}

static void done(void *call, const struct result *result)
{
    reply_result(((struct http_call *)call)->x, result);
}

void api_reply_error(struct http_exchange *x, struct error *err)
{
    struct result result = status_result(http_arena(x), err, NULL, NULL);

    error_free(err);
    reply_result(x, &result);
}

/* --- Its parts --- */

static void read_parameters(struct http_exchange *x, struct operation *op)
{
    struct parameter p, *all;
    size_t n = 0;

    for (size_t at = 0; http_next_query(x, &at, &p.name, &p.value);)
        n++;
    if (n == 0)
        return;
    op->parameters = all = arena_alloc(op->arena, n * sizeof(*all));
    for (size_t at = 0; op->parameters_len < n; op->parameters_len++)
        http_next_query(x, &at, &all[op->parameters_len].name, &all[op->parameters_len].value);
}

/* tus (resumable uploads, version 1.0) says in headers what operations are told as parameters. */
static void read_resuming(struct http_exchange *x, struct operation *op)
{
    static const struct parameter known[] = {
        {"tusResumable", "Tus-Resumable"},
        {"uploadLength", "Upload-Length"},
        {"uploadDeferLength", "Upload-Defer-Length"},
        {"uploadOffset", "Upload-Offset"},
        {"uploadMetadata", "Upload-Metadata"},
        {"uploadChecksum", "Upload-Checksum"},
    };
    size_t n = op->parameters_len;
    struct parameter *all = arena_alloc(op->arena, (n + ARRAY_SIZE(known) + 1) * sizeof(*all));

    if (n)
        memcpy(all, op->parameters, n * sizeof(*all));
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (http_header(x, known[i].value))
            all[n++] = (struct parameter){known[i].name, http_header(x, known[i].value)};
    if (http_method(x) == HTTP_OPTIONS)
        all[n++] = (struct parameter){"tusOptions", "true"};
    op->parameters = all;
    op->parameters_len = n;
}

static void read_identity(struct operation *op, const struct identity *who)
{
    struct arena *a = op->arena;

    op->who = *who;
    op->who.name = arena_strdup(a, who->name ? who->name : "system:anonymous");
    op->who.uid = arena_strdup_or_null(a, who->uid);
    op->who.session = arena_strdup_or_null(a, who->session);
    op->who.certificate = arena_strdup_or_null(a, who->certificate);
    op->who.method = arena_strdup_or_null(a, who->method);
    op->who.address = arena_strdup_or_null(a, who->address);
}

static void ask_gone(const struct operation *op, void (*gone)(void *arg), void *arg)
{
    http_on_gone(container_of(op, const struct http_call, op)->x, gone, arg);
}

/* --- The body --- */

static ssize_t write_sink(void *sink, const char *p, size_t n)
{
    struct sink *s = sink;
    return s->write(s, p, n);
}

static void end_sink(void *sink, const struct error *why)
{
    struct sink *s = sink;
    s->end(s, why);
}

static const struct http_sink_ops sink_ops = {.write = write_sink, .end = end_sink};

static void wake_body(void *x)
{
    http_receive_wake(x);
}

static void give_body(const struct operation *op, struct sink *s)
{
    struct http_exchange *x = container_of(op, const struct http_call, op)->x;

    s->wake = wake_body;
    s->wake_arg = x;
    if (http_announced(x) || http_header(x, "Transfer-Encoding"))
        http_receive(x, &sink_ops, s);
    else
        s->end(s, NULL);
}

#define FORM "multipart/form-data"

static bool is_form(const struct http_exchange *x)
{
    const char *type = http_header(x, "Content-Type");

    return type && strncasecmp(type, FORM, strlen(FORM)) == 0;
}

/* A form says by its media type what it is for, and browsers can send it nowhere but to a collection or an object. */
static void route_form(struct operation *op, enum http_method method)
{
    const struct kind *k = op->kind;

    if (k == NULL || op->subresource || method != (op->name ? HTTP_PUT : HTTP_POST))
        return;
    for (size_t i = 0; i < k->subresources_len; i++)
        if (k->subresources[i].forms)
            op->subresource = k->subresources[i].name;
}

static int route(struct api *a, struct http_exchange *x, struct operation *op, const char **allow, struct error **err)
{
    size_t n;
    const struct api_resource *resources = api_resources(a, &n);

    if (route_operation(resources, n, http_method(x), http_path(x), op, allow, err) < 0)
        return -1;
    if (is_form(x))
        route_form(op, http_method(x));
    return 0;
}

/* Of /apis/GROUP/VERSION/PLURAL/NAME/SUBRESOURCE. */
static bool may_be_subresource(struct str path)
{
    size_t slashes = 0;

    for (size_t i = 0; i < path.n; i++)
        slashes += path.p[i] == '/';
    return slashes >= 6;
}

enum http_body_use api_body_use(struct api *a, struct http_exchange *x, size_t *max)
{
    _cleanup_error_ struct error *unsaid = NULL; /* the call says it */
    struct operation op = {.arena = http_arena(x)};
    const char *allow;

    if (!may_be_subresource(http_path(x)) && !is_form(x))
        return HTTP_BODY_COLLECTED;
    if (route(a, x, &op, &allow, &unsaid) < 0 || !op.subresource)
        return HTTP_BODY_COLLECTED;
    const struct kind_subresource *own = kind_subresource(op.kind, op.subresource);
    if (own == NULL || !own->streams)
        return HTTP_BODY_COLLECTED;
    *max = own->max_bytes;
    return HTTP_BODY_RECEIVED;
}

/* --- The operation --- */

static void read_operation(struct api *a, struct http_exchange *x, struct operation *op)
{
    struct str plain = without_slash(http_path(x));
    const char *allow = NULL;
    struct error *err = NULL;

    op->path = arena_strndup(op->arena, plain.p, plain.n);
    op->body = http_body(x);
    op->media_type = http_header(x, "Content-Type");
    op->accept = http_header(x, "Accept");
    op->held = http_header(x, "If-None-Match");
    op->representation = negotiate(op->accept);
    op->on_gone = ask_gone;
    op->receive = give_body;
    op->announced = http_announced(x);
    read_parameters(x, op);
    if (route(a, x, op, &allow, &err) < 0)
        op->wrong = err;
    const struct kind_subresource *own = op->subresource ? kind_subresource(op->kind, op->subresource) : NULL;
    if (own && own->resumes)
        read_resuming(x, op);
    if (allow)
        http_add_header(x, "Allow", allow);
}

static struct http_call *new_call(struct api *a, struct http_exchange *x, const struct identity *who)
{
    struct http_call *c = arena_alloc(http_arena(x), sizeof(*c));

    c->x = x;
    c->op.arena = http_arena(x);
    read_identity(&c->op, who);
    read_operation(a, x, &c->op);
    return c;
}

void api_handle(struct api *a, struct http_exchange *x, const struct identity *who)
{
    struct http_call *c = new_call(a, x, who);

    api_call(a, &c->op, done, c);
}

void api_handle_refused(struct api *a, struct http_exchange *x, const struct identity *who, struct error *err)
{
    struct http_call *c = new_call(a, x, who);

    api_refuse(a, &c->op, err, done, c);
}
