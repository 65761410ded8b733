#include "server/api/heavy.h"

#include "base/clock.h"
#include "base/workers.h"

#define BODY_AT_ONCE ((size_t)16 << 10)
#define LIST_AT_ONCE ((size_t)128 << 10)
/* A list that is shown as it is stored is copied, which takes a hundredth of the time. */
#define COPY_AT_ONCE ((size_t)1 << 20)

/* What a client writes is larger than what is stored: blanks, managed fields, a patch that takes fields away. */
#define BODY_FACTOR 4
#define BODY_LEAST ((size_t)64 << 10)

int heavy_check_body(const struct request *r, struct error **err)
{
    size_t n = r->op->body.n, max = BODY_FACTOR * request_object_max(r);

    if (r->own)
        max = r->own->max_bytes;
    else if (max < BODY_LEAST)
        max = BODY_LEAST;
    if (n <= max)
        return 0;
    return error_set(err, REASON_REQUEST_TOO_LARGE, "the body has %zu bytes; at most %zu are read here", n, max);
}

struct sum {
    size_t bytes, enough;
};

static bool sum_bytes(void *arg, struct object *o)
{
    struct sum *s = arg;

    s->bytes += o->json.n;
    return s->bytes <= s->enough;
}

static bool is_given(struct request *r, const char *parameter)
{
    const char *text = operation_parameter(r->op, parameter);

    return text && *text;
}

static bool is_heavy_list(struct request *r)
{
    const char *fields = operation_parameter(r->op, "fieldSelector");
    bool copied = r->op->representation == REPRESENT_OBJECT && r->verdict != VERDICT_OWN &&
                  !is_given(r, "labelSelector") && !is_given(r, "fieldSelector");
    struct sum sum = {.enough = copied ? COPY_AT_ONCE : LIST_AT_ONCE};

    /* At most one object. */
    if (fields && starts_with(fields, "metadata.name="))
        return false;
    store_list(r->api->options.store, request_collection(r), STR(""), sum_bytes, &sum);
    return sum.bytes > sum.enough;
}

static bool is_heavy(struct request *r)
{
    if (r->api->options.parsers == NULL || r->handler)
        return false;
    return r->op->body.n > BODY_AT_ONCE || (r->op->verb == VERB_LIST && is_heavy_list(r));
}

struct piece {
    struct api *api;
    struct request *r;
    void (*verb)(struct request *r);
    struct flow_caller caller;
};

/* A worker's time counts as the event thread's does. */
static void run_piece(void *arg)
{
    struct piece p = *(struct piece *)arg; /* gone with the request */
    int64_t began = clock_monotonic_us();

    p.verb(p.r);
    int64_t now = clock_monotonic_us();
    flow_charge(p.api->options.flow, &p.caller, now - began, now);
    pending_end(&p.api->pending);
}

int heavy_run(struct request *r, void (*verb)(struct request *r), struct error **err)
{
    if (!is_heavy(r)) {
        verb(r);
        return 0;
    }
    struct piece *p = arena_alloc(r->arena, sizeof(*p));
    *p = (struct piece){r->api, r, verb, request_caller(r->api, &r->op->who)};
    const struct work work = {run_piece, p, r->op->who.name, request_is_reserved(r), r->op->body.n};
    pending_begin(&r->api->pending);
    if (workers_submit(r->api->options.parsers, &work) == 0)
        return 0;
    pending_end(&r->api->pending);
    error_set(err, REASON_TOO_MANY_REQUESTS, "too many large requests are waiting already: try again later");
    (*err)->retry_after = 1;
    return -1;
}
