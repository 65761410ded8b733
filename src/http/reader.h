#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"

/*
 * Requests out of the bytes of one connection: llhttp without any of its leniencies, and stricter. Whatever two readers
 * could understand in two ways is refused (RFC 9112 §11.2): only nginx and our own client speak here, and neither says
 * any of it. A head is handed to llhttp when all of it is there, so that it does not matter how the bytes were cut.
 */
struct request_header {
    const char *name, *value;
};

struct request {
    struct arena *arena; /* holds all of it */
    const char *method;
    struct str target;
    struct request_header *headers;
    size_t headers_len;
    bool is_old; /* HTTP/1.0 */
    bool keep_alive;
    bool expects_continue;
    bool has_body;
    uint64_t length; /* announced; 0 with a body: it comes in chunks */
};

const char *request_find_header(const struct request *q, const char *name); /* any case; NULL: absent */
void request_free(struct request *q);

enum reading {
    READING_MORE,      /* the input is used up */
    READING_HEAD,      /* `request` is there, and is the caller's (request_free) */
    READING_PIECE,     /* `piece` of its body, in the input */
    READING_END,       /* of its body; not said of a request without one */
    READING_BAD,       /* nothing more can be read */
    READING_TOO_LARGE, /* as BAD: a head of more bytes or headers than allowed */
    READING_NO_METHOD, /* as BAD: a method that nobody knows */
};

struct reader {
    struct parsed_head *parsed;        /* while a head is parsed */
    struct llhttp__internal_s *parser; /* while a body is read */
    size_t head_max;
    bool body_ended;
    struct buffer head;                  /* what came of one so far */
    size_t head_seen, line_begin, lines; /* looked at; of the line that is not over */
    struct request request;
    struct str piece;
};

void reader_init(struct reader *r, size_t head_max);
void reader_free(struct reader *r);
/* Cuts off the input what it has read. */
enum reading reader_next(struct reader *r, struct str *input);
/* Between two requests, with nothing of the next. */
static inline bool reader_is_idle(const struct reader *r)
{
    return r->parser == NULL && r->head.n == 0;
}
