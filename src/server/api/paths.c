#include "server/api/paths.h"

#include "server/api/health.h"
#include "server/api/refuse.h"
#include "server/documents/discovery.h"
#include "server/documents/openapi.h"

/* Documents live, and stay the same, as long as the server runs; a new version has another tag. */
static void reply_document(struct request *r, const struct document *d)
{
    const char *held = r->op->held;

    request_add_header(r, "Vary", "Accept");
    if (d->etag)
        request_add_header(r, "ETag", d->etag);
    if (held && d->etag && strstr(held, d->etag))
        request_reply(r, 304, NULL, STR(""));
    else
        request_reply_constant(r, 200, d->content_type, d->body);
}

static int authorize_path(struct request *r, struct error **err)
{
    struct attributes what = {.verb = "get", .name = r->op->path};

    return r->api->options.authorize(&r->op->who, &what) == VERDICT_ALLOW ? 0 : error_forbidden(err, r);
}

int path_answer(struct request *r, struct error **err)
{
    struct str path = str_from(r->op->path);
    const char *accept = r->op->accept;
    const struct document *d = NULL;
    bool public = false, health = health_owns(path, &public);

    if (!public && authorize_path(r, err) < 0)
        return -1;
    if (!health && !(d = discovery_find(r->api->discovery, path, accept)) &&
        !(d = openapi_find(r->api->openapi, path, accept)))
        return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
    if (r->op->verb != VERB_GET) {
        request_add_header(r, "Allow", "GET, HEAD");
        return error_set(err, REASON_METHOD_NOT_ALLOWED,
                         "the server does not allow this method on the requested resource");
    }
    if (health)
        health_handle(r, path);
    else
        reply_document(r, d);
    return 0;
}
