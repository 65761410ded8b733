#pragma once

#include "base/json.h"
#include "unit/api/fixture.h"

struct call {
    const char *method, *path; /* GET where NULL */
    const char *body, *type;   /* application/json where NULL and there is a body; "": none */
    const char *accept, *user;
    int role; /* 0: 1; -1: nobody */
};

struct answer {
    long code;
    struct buffer headers, body;
    yyjson_doc *doc; /* NULL: no JSON */
};

/* The answer stays until the next call. */
struct answer *call(struct fixture *f, const struct call *c);
#define CALL(f, ...) call(f, &(struct call){__VA_ARGS__})
const char *answer_str(const struct answer *a, const char *path);
int64_t answer_int(const struct answer *a, const char *path);
bool answer_has(const struct answer *a, const char *text);        /* in the body */
bool answer_has_header(const struct answer *a, const char *text); /* «Name: value» */
uint64_t answer_revision(const struct answer *a);

/* Fails with the body where the code is another. */
struct answer *expect(long code, struct answer *a);

/* A watch on a connection of its own. */
struct watching;
struct watching *watch_open(struct fixture *f, const struct call *c);
/* Sends, and does not wait for an answer. */
struct watching *send_alone(struct fixture *f, const struct call *c);
/* Whether something of its answer has come. */
bool is_answered(const struct watching *w);
/* The answer to that; frees it. */
struct answer *answer_of(struct watching *w);
/* The next line, parsed; waits up to half a minute. NULL: the stream has ended. The caller frees. */
yyjson_doc *watch_next(struct watching *w);
/* «TYPE name» of the next line, e.g. "ADDED a"; "END"; valid until the next call. */
const char *watch_next_text(struct watching *w);
void watch_free(struct watching *w);
