#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static const struct {
    const char *name;
    unsigned code;
} reasons[] = {
    [REASON_BAD_REQUEST] = {"BadRequest", 400},
    [REASON_UNAUTHORIZED] = {"Unauthorized", 401},
    [REASON_FORBIDDEN] = {"Forbidden", 403},
    [REASON_NOT_FOUND] = {"NotFound", 404},
    [REASON_METHOD_NOT_ALLOWED] = {"MethodNotAllowed", 405},
    [REASON_NOT_ACCEPTABLE] = {"NotAcceptable", 406},
    [REASON_ALREADY_EXISTS] = {"AlreadyExists", 409},
    [REASON_CONFLICT] = {"Conflict", 409},
    [REASON_EXPIRED] = {"Expired", 410},
    [REASON_REQUEST_TOO_LARGE] = {"RequestEntityTooLarge", 413},
    [REASON_UNSUPPORTED_MEDIA_TYPE] = {"UnsupportedMediaType", 415},
    [REASON_INVALID] = {"Invalid", 422},
    [REASON_TOO_MANY_REQUESTS] = {"TooManyRequests", 429},
    [REASON_INTERNAL] = {"InternalError", 500},
    [REASON_SERVICE_UNAVAILABLE] = {"ServiceUnavailable", 503},
    [REASON_TIMEOUT] = {"Timeout", 504},
    [REASON_INSUFFICIENT_STORAGE] = {"InsufficientStorage", 507},
};

const char *reason_name(enum reason reason)
{
    return reasons[reason].name;
}

unsigned reason_code(enum reason reason)
{
    return reasons[reason].code;
}

_printf_(1, 0) static char *format(const char *fmt, va_list args)
{
    char *out = NULL;
    if (vasprintf(&out, fmt, args) < 0)
        return xstrdup(fmt);
    return out;
}

static void replace(struct error **err, enum reason reason, char *message)
{
    error_free(*err);
    *err = xcalloc(1, sizeof(**err));
    (*err)->reason = reason;
    (*err)->message = message;
}

int(error_set)(struct error **err, enum reason reason, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, fmt);
    char *message = format(fmt, args);
    va_end(args);
    replace(err, reason, message);
    return -1;
}

int(error_errno)(struct error **err, int errnum, const char *fmt, ...)
{
    va_list args;
    char reason[128];

    if (err == NULL)
        return -1;
    va_start(args, fmt);
    _cleanup_free_ char *text = format(fmt, args);
    va_end(args);
    replace(err, REASON_INTERNAL, xasprintf("%s: %s", text, strerror_r(errnum, reason, sizeof(reason))));
    return -1;
}

int(error_wrap)(struct error **err, const char *fmt, ...)
{
    va_list args;

    if (err == NULL || *err == NULL)
        return -1;
    va_start(args, fmt);
    _cleanup_free_ char *context = format(fmt, args);
    va_end(args);
    _cleanup_free_ char *old = (*err)->message;
    (*err)->message = xasprintf("%s: %s", context, old);
    return -1;
}

int(error_add_cause)(struct error **err, const char *field, const char *cause, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, fmt);
    char *message = format(fmt, args);
    va_end(args);

    if (*err == NULL)
        replace(err, REASON_INVALID, xasprintf("%s: %s", field, message));
    else {
        _cleanup_free_ char *old = (*err)->message;
        (*err)->message = xasprintf("%s, %s: %s", old, field, message);
    }
    struct error *e = *err;
    e->causes = xreallocarray(e->causes, e->causes_len + 1, sizeof(*e->causes));
    e->causes[e->causes_len++] = (struct error_cause){xstrdup(field), xstrdup(cause), message};
    return -1;
}

void error_free(struct error *err)
{
    if (err == NULL)
        return;
    for (size_t i = 0; i < err->causes_len; i++) {
        free(err->causes[i].field);
        free(err->causes[i].reason);
        free(err->causes[i].message);
    }
    free(err->causes);
    free(err->message);
    free(err);
}
