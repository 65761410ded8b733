#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "http/answer.h"
#include "http/http.h"
#include "http/loop.h"
#include "http/query.h"
#include "http/reader.h"

struct connection;

/*
 * A request and its answer: what handlers see, and what they and the connection say to each other over threads.
 *
 *            handler called          returned, no answer             answered
 *     COMING ──────────────► HANDLING ──────────────────► WAITING ──────────────► ANSWERED
 *                               │ answered                   │ the peer has gone,
 *                               └──────────► ANSWERED        └──────────► ABANDONED   or the server stops
 *
 * An abandoned one has lost its connection, but stays until its owner answers; that answer is dropped.
 *
 * References: one of the connection, one of whoever answers, one while it is posted to its loop. None of the loop's
 * locks is held while a handler, a stream's read or close, or a sink's write or end runs.
 */
enum exchange_state { COMING, HANDLING, WAITING, ANSWERED, ABANDONED };

struct http_exchange {
    struct loop_posted posted; /* first */
    atomic_bool is_posted;
    struct loop *_Atomic loop; /* of the connection */
    atomic_uint references;
    struct connection *connection; /* the loop's alone; NULL: it is over */

    struct request request;
    enum http_role role;
    enum http_method method;
    struct str path, query;
    struct query_parameter *parameters; /* NULL until asked for */
    size_t parameters_len;
    struct buffer body;

    struct buffer headers; /* of the answer, so far */
    pthread_mutex_t lock;
    enum exchange_state state; /* (lock) */
    struct answer answer;      /* (lock) until ANSWERED, then the connection's */
    void (*gone)(void *arg);   /* (lock) */
    void *gone_arg;            /* (lock) */

    const struct http_stream_ops *stream; /* as the answer */
    void *stream_state;
    const struct http_sink_ops *sink; /* (lock) */
    void *sink_state;
};

/* Takes the request. `on_turn`: what the loop does when something was posted. */
struct http_exchange *exchange_new(struct request *q, enum http_role role, size_t max_body, struct loop *loop,
                                   void (*on_turn)(struct loop_posted *p, struct loop *l));
struct http_exchange *exchange_ref(struct http_exchange *x);
void exchange_unref(struct http_exchange *x);
/* Its connection is to look at it. */
void exchange_post(struct http_exchange *x);
bool exchange_has_too_many_parameters(const struct http_exchange *x);

/* The rest is the connection's, on its loop. */
enum exchange_state exchange_state(struct http_exchange *x);
/* The handler was called and has returned. */
void exchange_wait(struct http_exchange *x);
/* The peer has gone, or the server stops: where an answer is still owed, it will be dropped, and true is returned. */
bool exchange_abandon(struct http_exchange *x, const char *why);
/* Sink and stream are told of their end, once. */
void exchange_end_sink(struct http_exchange *x, const struct error *why);
void exchange_drop_sink(struct http_exchange *x); /* without a word: it said so itself */
void exchange_close_stream(struct http_exchange *x);
const struct http_sink_ops *exchange_sink(struct http_exchange *x);
