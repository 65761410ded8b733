#include "server/api/request.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/api/metrics.h"
#include "server/api/status.h"

struct request *request_new(struct api *a, const struct operation *op, operation_done *done, void *arg)
{
    struct request *r = arena_alloc(op->arena, sizeof(*r));

    *r = (struct request){.api = a, .op = op, .done = done, .done_arg = arg, .arena = op->arena, .name = op->name};
    r->started_us = clock_monotonic_us();
    for (size_t i = 0; i < a->resources_len; i++)
        if (op->kind && a->resources[i].kind == op->kind)
            r->resource = &a->resources[i];
    assert(!op->kind || r->resource);
    return r;
}

const struct operation *request_operation(const struct request *r)
{
    return r->op;
}

void request_on_gone(struct request *r, void (*gone)(void *arg), void *arg)
{
    if (r->op->on_gone)
        r->op->on_gone(r->op, gone, arg);
}

void request_receive(struct request *r, struct sink *s)
{
    assert(r->own && r->own->streams && r->op->receive);
    r->op->receive(r->op, s);
}

void request_add_header(struct request *r, const char *name, const char *value)
{
    struct header *h = arena_alloc(r->arena, sizeof(*h)), **end = &r->headers;

    *h = (struct header){NULL, arena_strdup(r->arena, name), arena_strdup(r->arena, value)};
    while (*end)
        end = &(*end)->next;
    *end = h;
}

/* --- The answer --- */

/* The one place that every operation passes, once, whatever comes of it. */
static void account(const struct request *r, const struct result *result)
{
    const struct api_options *o = &r->api->options;
    const struct operation_outcome outcome = {result->code, clock_monotonic_us() - r->started_us, result->body.n};

    metrics_count(r->api->metrics, r->op, &outcome);
    if (o->audit)
        o->audit(o->context, r->op, &outcome);
}

static void answer_request(struct request *r, struct result *result)
{
    result->name = r->name;
    result->headers = r->headers;
    account(r, result);
    operation_done *done = r->done;
    assert(done);
    r->done = NULL; /* answered */
    done(r->done_arg, result);
}

void request_reply(struct request *r, unsigned code, const char *media_type, struct str body)
{
    answer_request(r, &(struct result){.code = code, .media_type = media_type, .body = body});
}

void request_reply_json(struct request *r, unsigned code, char *json, size_t n)
{
    answer_request(
        r, &(struct result){code, .media_type = "application/json", .body = {json, n}, .release = free, .owner = json});
}

static void release_object(void *o)
{
    object_unref(o);
}

void request_reply_object(struct request *r, unsigned code, struct object *o)
{
    answer_request(r, &(struct result){code, .media_type = "application/json", .body = o->json,
                                       .release = release_object, .owner = o});
}

static void keep_constant(void *owner)
{
}

void request_reply_constant(struct request *r, unsigned code, const char *media_type, struct str body)
{
    answer_request(r, &(struct result){code, .media_type = media_type, .body = body, .release = keep_constant});
}

void request_stream(struct request *r, unsigned code, const char *media_type, struct source *s)
{
    answer_request(r, &(struct result){code, .media_type = media_type, .source = s});
}

void request_fail(struct request *r, struct error *err)
{
    struct result result = status_result(r->arena, err, request_kind(r), r->name);

    for (const struct header *h = result.headers; h; h = h->next)
        request_add_header(r, h->name, h->value);
    result.error = err;
    answer_request(r, &result);
    error_free(err);
}

/* --- Who asks --- */

size_t request_object_max(const struct request *r)
{
    const struct kind *k = r->op->kind;

    return r->verdict == VERDICT_OWN ? k->owner_max_bytes : k->max_bytes;
}

bool request_is_reserved(const struct request *r)
{
    return r->api->options.reserved && r->api->options.reserved(&r->op->who);
}

struct flow_caller request_caller(const struct api *a, const struct identity *who)
{
    if (a->options.reserved && a->options.reserved(who))
        return (struct flow_caller){.rank = FLOW_RESERVED};
    return who->uid ? flow_user(who->uid) : flow_stranger(who->address ? who->address : "");
}
