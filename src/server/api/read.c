#include "server/api/refuse.h"
#include "server/api/represent.h"
#include "server/api/revision.h"
#include "server/api/verbs.h"

static int find_object(struct request *r, struct object **out, struct error **err)
{
    struct revision_query revision;

    if (revision_query(r, &revision, err) < 0)
        return -1;
    _cleanup_object_ struct object *o = store_get(r->api->options.store, request_collection(r), str_from(r->name));
    if (o == NULL)
        return error_absent(err, r);
    if (r->verdict == VERDICT_OWN && !owned_by(r->op->kind, o->json, &r->op->who))
        return error_forbidden(err, r);
    *out = steal_ptr(o);
    return 0;
}

static int reply_as(struct request *r, struct object *o, struct error **err)
{
    struct table table;
    struct buffer b = BUFFER_MAX(REPRESENT_MAX);

    if (represent_begin(r, &table, err) < 0)
        return -1;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, err);
    if (doc == NULL)
        return -1;
    represent_object(r->op->representation, &table, &b, yyjson_doc_get_root(doc), o->json, true);
    size_t n = b.n;
    request_reply_json(r, 200, buffer_steal(&b), n);
    return 0;
}

static int read_object(struct request *r, struct error **err)
{
    _cleanup_object_ struct object *o = NULL;

    if (find_object(r, &o, err) < 0)
        return -1;
    if (r->op->representation != REPRESENT_OBJECT)
        return reply_as(r, o, err);
    request_reply_object(r, 200, steal_ptr(o));
    return 0;
}

void verb_get(struct request *r)
{
    struct error *err = NULL;

    if (read_object(r, &err) < 0)
        request_fail(r, err);
}

/* What makes objects is asked of those that are not there yet. */
static bool may_be_absent(const struct request *r)
{
    return r->own->creates && r->op->verb == VERB_CREATE;
}

void verb_of_handler(struct request *r)
{
    _cleanup_object_ struct object *o = NULL;
    struct error *err = NULL;

    if (may_be_absent(r))
        o = r->name ? store_get(r->api->options.store, request_collection(r), str_from(r->name)) : NULL;
    else if (find_object(r, &o, &err) < 0)
        return request_fail(r, err);
    r->handler->handle(r, o, r->api->options.context);
}
