#include "runner/engine/calls.h"

#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/thread.h"

char *url_quote(struct arena *a, const char *s)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(16384);
    buffer_percent_encode(&b, str_from(s));
    return arena_strndup(a, b.p ? b.p : "", b.n);
}

int engine_transport(struct engine *e, struct transport **out, struct error **err)
{
    LOCK_SCOPE(&e->lock);
    if (e->transport == NULL)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "%s",
                         e->missing ? e->missing : "still looking for a container engine");
    *out = e->transport;
    return 0;
}

/* {"message": …} of Docker, {"cause", "message"} of Podman; anything else as it is. */
int engine_refused(const char *method, const struct answer *a, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    const char *message = doc ? json_str_at(yyjson_doc_get_root(doc), "message") : NULL;
    enum reason reason = REASON_INTERNAL;

    if (message == NULL)
        message = a->body.n ? a->body.p : "no reason given";
    /* Podman's own calls answer a missing image by 500. */
    if (a->status == 404 || strstr(message, "image not known"))
        reason = REASON_NOT_FOUND;
    else if (a->status == 409)
        reason = REASON_CONFLICT;
    else if (a->status / 100 == 4)
        reason = REASON_INVALID;
    return error_set(err, reason, "the container engine refused %s (%u): %.600s", method, a->status, message);
}

static bool is_wanted(const struct request *r, unsigned status)
{
    for (size_t i = 0; i < ARRAY_SIZE(r->wanted); i++)
        if (r->wanted[i] == status)
            return true;
    return false;
}

int engine_request_on(struct engine *e, struct transport *t, const struct request *r, yyjson_doc **answer,
                      struct error **err)
{
    _cleanup_answer_ struct answer a = {0};
    _cleanup_free_ char *body = NULL;
    struct call call = {.method = r->method, .path = r->path, .timeout_ms = r->timeout_ms, .stop_fd = e->stop_fd};

    if (r->body) {
        call.body.p = body = json_mut_write(yyjson_mut_doc_get_root(r->body), &call.body.n);
        call.content_type = "application/json";
    }
    int rc = transport_call(t, &call, &a, err);
    if (body)
        explicit_bzero(body, call.body.n); /* the environment's token is in it */
    if (rc < 0)
        return error_wrap(err, "the container engine does not answer");
    if (!is_wanted(r, a.status))
        return engine_refused(r->method, &a, err);
    if (answer == NULL)
        return 0;
    *answer = json_parse(buffer_str(&a.body), err);
    return *answer ? 0 : error_wrap(err, "the container engine's answer to %s", r->method);
}

int engine_request(struct engine *e, const struct request *r, yyjson_doc **answer, struct error **err)
{
    struct transport *t;
    if (engine_transport(e, &t, err) < 0)
        return -1;
    return engine_request_on(e, t, r, answer, err);
}

struct engine *engine_of(struct runtime *r)
{
    return (struct engine *)(void *)r;
}
