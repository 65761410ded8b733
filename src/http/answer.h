#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

/*
 * An answer as it goes out: status line and headers, but for Connection and the empty line, which the connection adds
 * (it alone knows whether it ends); a body in one piece, or none here where a stream follows.
 */
struct answer {
    unsigned status;
    struct buffer head;
    struct str body;
    void *owner; /* of the body; called once it is not needed any more */
    void (*release)(void *owner);
};

/* Without a body until one of the others is called. */
void answer_begin(struct answer *a, unsigned status, const char *content_type);
/* Left out, with a line in the log, where the value would end its line: nobody smuggles a header in. */
void answer_add_header(struct buffer *head, const char *name, const char *value);
void answer_copy_body(struct answer *a, struct str body);
void answer_share_body(struct answer *a, struct str body, void *owner, void (*release)(void *owner));
/* As metav1.Status, which every client of ours understands. */
void answer_status(struct answer *a, unsigned code, const char *reason, const char *message);
void answer_error(struct answer *a, const struct error *err);
/* 1xx, 204 and 304 have none (RFC 9110 §6.4.1). */
bool answer_may_have_body(const struct answer *a);
void answer_free(struct answer *a);
