#include "server/api/status.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

#define STATUS_MAX ((size_t)1 << 20)
#define CAUSES_MAX 100 /* a reader has enough to do with these */

/* kubectl prints messages as they are, and what was sent is quoted in them. */
static void add_text(struct buffer *b, const char *text)
{
    _cleanup_free_ char *plain = xstrdup(text ? text : "");

    buffer_json_string(b, (struct str){plain, text_clean(plain, strlen(plain), "\n\t")});
}

static void add_message(struct buffer *b, const struct error *err, const struct kind *kind, const char *name)
{
    _cleanup_free_ char *whole = NULL;
    const char *message = err->message ? err->message : reason_name(err->reason);

    if (err->reason == REASON_INVALID && kind) {
        bool list = err->causes_len > 1;
        whole = xasprintf("%s \"%s\" is invalid: %s%s%s", kind->full_kind, name ? name : "", list ? "[" : "", message,
                          list ? "]" : "");
        message = whole;
    }
    add_text(b, message);
}

static void add_member(struct buffer *b, const char *before, const char *key, const char *value)
{
    buffer_printf(b, "%s\"%s\":", before, key);
    add_text(b, value);
}

static void add_causes(struct buffer *b, const struct error *err)
{
    buffer_puts(b, "\"causes\":[");
    for (size_t i = 0; i < err->causes_len && i < CAUSES_MAX; i++) {
        const struct error_cause *c = &err->causes[i];
        add_member(b, i ? ",{" : "{", "reason", c->reason);
        add_member(b, ",", "message", c->message);
        if (c->field && c->field[0])
            add_member(b, ",", "field", c->field);
        buffer_puts(b, "}");
    }
    buffer_puts(b, "]");
}

/* Kubernetes names the resource («devices») in details.kind but for Invalid, where it is the kind («Device»). */
static void add_details(struct buffer *b, const struct error *err, const struct kind *kind, const char *name)
{
    const char *comma = "";

    buffer_puts(b, "\"details\":{");
    if (name) {
        add_member(b, comma, "name", name);
        comma = ",";
    }
    if (kind) {
        add_member(b, comma, "group", kind->group);
        add_member(b, ",", "kind", err->reason == REASON_INVALID ? kind->kind : kind->plural);
        comma = ",";
    }
    if (err->causes_len) {
        buffer_puts(b, comma);
        add_causes(b, err);
        comma = ",";
    }
    if (err->retry_after)
        buffer_printf(b, "%s\"retryAfterSeconds\":%u", comma, err->retry_after);
    buffer_puts(b, "}");
}

char *status_json(const struct error *err, const struct kind *kind, const char *name, size_t *n)
{
    struct buffer b = BUFFER_MAX(STATUS_MAX);

    buffer_puts(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    add_message(&b, err, kind, name);
    add_member(&b, ",", "reason", reason_name(err->reason));
    buffer_puts(&b, ",");
    add_details(&b, err, kind, name);
    buffer_printf(&b, ",\"code\":%u}\n", reason_code(err->reason));
    if (b.overflow) {
        /* Only a field path of absurd length gets here; the reason is worth more than it. */
        buffer_clear(&b);
        buffer_printf(
            &b,
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"reason\":\"%s\","
            "\"message\":\"the message is too long to be shown\",\"code\":%u}\n",
            reason_name(err->reason), reason_code(err->reason));
    }
    *n = b.n;
    return buffer_steal(&b);
}

static struct header *add_header(struct arena *a, struct header *next, const char *name, const char *value)
{
    struct header *h = arena_alloc(a, sizeof(*h));

    *h = (struct header){next, name, value};
    return h;
}

struct result status_result(struct arena *a, const struct error *err, const struct kind *kind, const char *name)
{
    struct result r = {.code = reason_code(err->reason), .media_type = "application/json", .release = free};
    struct header *headers = NULL;
    size_t n;

    if (err->retry_after)
        headers = add_header(a, headers, "Retry-After", arena_printf(a, "%u", err->retry_after));
    /* RFC 9110 §11.6.1: a 401 says which scheme is spoken. */
    if (err->reason == REASON_UNAUTHORIZED)
        headers = add_header(a, headers, "WWW-Authenticate", "Bearer realm=\"open-hydra\"");
    char *text = status_json(err, kind, name, &n);
    r.headers = headers;
    r.body = (struct str){text, n};
    r.owner = text;
    return r;
}
