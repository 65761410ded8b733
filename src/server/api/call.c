/* api_call: what every operation goes through before its verb, in this order. */
#include <assert.h>

#include "base/clock.h"
#include "server/api/api.h"
#include "server/api/heavy.h"
#include "server/api/paths.h"
#include "server/api/refuse.h"
#include "server/api/verbs.h"

static bool find_subresource(struct request *r)
{
    const struct operation *op = r->op;
    const struct kind_hooks *hooks = r->resource->hooks;

    if (op->subresource == NULL || (op->kind->has_status && streq(op->subresource, "status")))
        return true;
    r->own = kind_subresource(op->kind, op->subresource);
    for (const struct subresource_handler *h = hooks ? hooks->subresources : NULL; r->own && h && h->name; h++)
        if (streq(h->name, op->subresource))
            r->handler = h;
    return r->handler && kind_subresource_has(r->own, verb_name(op->verb));
}

/* A watch or a log lasts, and counts as such; anything else until it is answered. */
static int enter(struct request *r, const struct flow_caller *caller, struct error **err)
{
    enum flow_what what = r->op->verb == VERB_WATCH ? FLOW_WATCHES : r->handler ? r->handler->load : FLOW_REQUESTS;

    return flow_take(r->api->options.flow, what, 1, caller, r->arena, r->started_us, err);
}

static int authorize(struct request *r, struct error **err)
{
    struct attributes what = {
        .verb = verb_name(r->op->verb), .kind = r->op->kind, .name = r->name, .subresource = r->op->subresource};

    r->verdict = r->api->options.authorize(&r->op->who, &what);
    if (r->verdict == VERDICT_DENY || (r->verdict == VERDICT_OWN && !r->op->kind->owner))
        return error_forbidden(err, r);
    return 0;
}

static int check_representation(struct request *r, struct error **err)
{
    /* A kind's own subresource answers in its own way (a log is plain text). */
    if (r->op->representation != REPRESENT_NONE || r->handler)
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
    return heavy_run(r, r->handler ? verb_of_handler : verbs[r->op->verb], err);
}

/* Who may not come in need not learn what there is. */
static int refuse_wrong(struct request *r, struct error *wrong, struct error **err)
{
    if (r->op->who.role != 0) {
        *err = wrong;
        return -1;
    }
    error_free(wrong);
    return error_forbidden(err, r);
}

static int start_call(struct request *r, struct error *wrong, const struct flow_caller *caller, struct error **err)
{
    _cleanup_error_ struct error *unsaid = wrong;

    if (flow_has_time(r->api->options.flow, caller, r->started_us, err) < 0)
        return -1;
    if (wrong)
        return refuse_wrong(r, steal_ptr(unsaid), err);
    if (r->op->kind && !find_subresource(r))
        return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
    if (enter(r, caller, err) < 0)
        return -1;
    if (r->op->kind == NULL)
        return path_answer(r, err);
    if (authorize(r, err) < 0 || check_representation(r, err) < 0)
        return -1;
    return dispatch(r, err);
}

void api_refuse(struct api *a, const struct operation *op, struct error *err, operation_done *done, void *arg)
{
    error_free(op->wrong);
    request_fail(request_new(a, op, done, arg), err);
}

void api_call(struct api *a, const struct operation *op, operation_done *done, void *arg)
{
    assert(op->arena && op->who.name && done);
    assert(!op->kind || op->verb != VERB_NONE || op->wrong);
    struct request *r = request_new(a, op, done, arg);
    struct flow_caller caller = request_caller(a, &op->who);
    int64_t began = r->started_us;
    struct error *err = NULL;

    if (start_call(r, op->wrong, &caller, &err) < 0)
        request_fail(r, err);
    /* The request, and the operation, may be gone. */
    int64_t now = clock_monotonic_us();
    flow_charge(a->options.flow, &caller, now - began, now);
}
