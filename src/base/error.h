#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

/*
 * One idiom for everything that can fail at run time:
 *
 *     int f(…, struct error **err);      0 (or more): done, *err untouched;  negative: failed, *err set
 *
 * The constructors return -1, so that «return error_set(err, …)» says both. `err` may be NULL where nobody asks why.
 * A reason maps one to one to metav1.Status `reason` and HTTP code (Kubernetes API conventions, «Response Status
 * Kind»).
 */
enum reason {
    REASON_BAD_REQUEST,
    REASON_UNAUTHORIZED,
    REASON_FORBIDDEN,
    REASON_NOT_FOUND,
    REASON_METHOD_NOT_ALLOWED,
    REASON_NOT_ACCEPTABLE,
    REASON_ALREADY_EXISTS,
    REASON_CONFLICT,
    REASON_EXPIRED, /* 410: the log no longer reaches back to that resourceVersion */
    REASON_REQUEST_TOO_LARGE,
    REASON_UNSUPPORTED_MEDIA_TYPE,
    REASON_INVALID, /* 422, with causes */
    REASON_TOO_MANY_REQUESTS,
    REASON_INTERNAL,
    REASON_SERVICE_UNAVAILABLE,
    REASON_TIMEOUT,
    REASON_INSUFFICIENT_STORAGE, /* 507: the disk is full */
};

struct error_cause {
    char *field;  /* "spec.role" */
    char *reason; /* "FieldValueInvalid", … (metav1.CauseType) */
    char *message;
};

struct error {
    enum reason reason;
    char *message;
    struct error_cause *causes;
    size_t causes_len;
    unsigned retry_after; /* seconds, 0: not said */
};

const char *reason_name(enum reason reason); /* "NotFound" */
unsigned reason_code(enum reason reason);    /* 404 */

int error_set(struct error **err, enum reason reason, const char *fmt, ...) _printf_(3, 4);
/* «message: strerror(errnum)», reason Internal. */
int error_errno(struct error **err, int errnum, const char *fmt, ...) _printf_(3, 4);
/* Puts «context: » before the message. Returns -1. */
int error_wrap(struct error **err, const char *fmt, ...) _printf_(2, 3);
/* Adds a cause, creating an Invalid error when *err is NULL. Returns -1. The message starts as the causes' text. */
int error_add_cause(struct error **err, const char *field, const char *cause, const char *fmt, ...) _printf_(4, 5);

/* The constructors' result is visible to the compiler and to analysers: what follows «return error_set(…)» is known to
 * be a failure. */
static inline int error_failed(int always)
{
    (void)always;
    return -1;
}
#define error_set(...) error_failed(error_set(__VA_ARGS__))
#define error_errno(...) error_failed(error_errno(__VA_ARGS__))
#define error_wrap(...) error_failed(error_wrap(__VA_ARGS__))
#define error_add_cause(...) error_failed(error_add_cause(__VA_ARGS__))

void error_free(struct error *err);
static inline void cleanup_errorp(struct error **err)
{
    error_free(*err);
}
#define _cleanup_error_ _cleanup_(cleanup_errorp)
