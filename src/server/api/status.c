#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/api/api.h"

/* metav1.Status: Kubernetes API conventions, «Response Status Kind». */

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
        whole = xasprintf("%s.%s \"%s\" is invalid: %s%s%s", kind->kind, kind->group, name ? name : "", list ? "[" : "",
                          message, list ? "]" : "");
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

char *api_status_json(const struct error *err, const struct kind *kind, const char *name, size_t *n)
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

void api_reply_object_error(struct http_exchange *x, const struct kind *kind, const char *name, struct error *err)
{
    char seconds[16];
    size_t n;
    char *text = api_status_json(err, kind, name, &n);

    if (err->retry_after) {
        snprintf(seconds, sizeof(seconds), "%u", err->retry_after);
        http_add_header(x, "Retry-After", seconds);
    }
    /* RFC 9110 §11.6.1: a 401 says which scheme is spoken. */
    if (err->reason == REASON_UNAUTHORIZED)
        http_add_header(x, "WWW-Authenticate", "Bearer realm=\"open-hydra\"");
    http_add_header(x, "Cache-Control", "no-cache, private");
    unsigned code = reason_code(err->reason);
    error_free(err);
    http_reply_shared(x, code, "application/json", (struct str){text, n}, text, free);
}

void api_reply_error(struct http_exchange *x, struct error *err)
{
    api_reply_object_error(x, NULL, NULL, err);
}
