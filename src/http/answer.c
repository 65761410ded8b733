#include "http/answer.h"

#include <llhttp.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"

#define HEAD_MAX ((size_t)64 * 1024)

static void add_phrase(struct buffer *head, unsigned status)
{
    if (status == 200)
        return buffer_add(head, STR("OK"));
    for (const char *c = llhttp_status_name((llhttp_status_t)status); *c; c++)
        buffer_append(head, *c == '_' ? " " : c, 1);
}

void answer_begin(struct answer *a, unsigned status, const char *content_type)
{
    *a = (struct answer){.status = status, .head = BUFFER_MAX(HEAD_MAX)};
    buffer_printf(&a->head, "HTTP/1.1 %u ", status);
    add_phrase(&a->head, status);
    buffer_add(&a->head, STR("\r\n"));
    if (content_type)
        answer_add_header(&a->head, "Content-Type", content_type);
}

void answer_add_header(struct buffer *head, const char *name, const char *value)
{
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' && *c != '\t') {
            log_error("header %s cannot be sent: not a valid value", name);
            return;
        }
    buffer_puts(head, name);
    buffer_add(head, STR(": "));
    buffer_puts(head, value);
    buffer_add(head, STR("\r\n"));
}

bool answer_may_have_body(const struct answer *a)
{
    return a->status >= 200 && a->status != 204 && a->status != 304;
}

static void add_length(struct answer *a, size_t n)
{
    if (answer_may_have_body(a))
        buffer_printf(&a->head, "Content-Length: %zu\r\n", n);
}

void answer_copy_body(struct answer *a, struct str body)
{
    char *copy = xmalloc(body.n + 1);

    if (body.n)
        memcpy(copy, body.p, body.n);
    answer_share_body(a, (struct str){copy, body.n}, copy, free);
}

void answer_share_body(struct answer *a, struct str body, void *owner, void (*release)(void *owner))
{
    add_length(a, body.n);
    a->body = body;
    a->owner = owner;
    a->release = release;
}

void answer_status(struct answer *a, unsigned code, const char *reason, const char *message)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096);

    buffer_puts(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    buffer_json_string(&b, str_from(message));
    buffer_printf(&b, ",\"reason\":\"%s\",\"code\":%u}\n", reason, code);
    answer_begin(a, code, "application/json");
    answer_copy_body(a, buffer_str(&b));
}

void answer_error(struct answer *a, const struct error *err)
{
    answer_status(a, reason_code(err->reason), reason_name(err->reason), err->message);
    if (err->retry_after)
        buffer_printf(&a->head, "Retry-After: %u\r\n", err->retry_after);
}

void answer_free(struct answer *a)
{
    if (a->release)
        a->release(a->owner);
    a->release = NULL;
    a->body = (struct str){0};
    buffer_free(&a->head);
}
