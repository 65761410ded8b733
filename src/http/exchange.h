#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "http/http.h"
#include "http/query.h"

/*
 * An exchange and its states. Everything marked (L) is guarded by the exchange's lock (one of a few shared by all, so
 * that it outlives the exchange).
 *
 *                    handler called             handler returned, no answer
 *     RECEIVING ───────────────────► HANDLING ──────────────────────────────► WAITING (connection suspended)
 *                                       │ answer                                │ answer: resume      │ peer gone, or
 * stop: ▼                                       ▼                     ▼ resume ANSWERED
 * ◄──────────────────────────────── ┘                 ABANDONED
 *
 * libmicrohttpd calls the access handler again for a resumed connection, on its event thread: only there is a response
 * queued. An abandoned exchange loses its connection (or sends 503, when the server stops) but stays in memory until
 * its owner answers; that answer is dropped.
 *
 * References: one of the connection (until the completion callback), one of whoever answers, one of a stream's
 * response (until its free callback), one of the stream itself, one of the queue that it is in.
 *
 * Locks in order: server lock, exchange lock, libmicrohttpd's own; the stream lock is taken alone. None is held while a
 * handler, a stream's read or its close runs.
 */
enum exchange_state { RECEIVING, HANDLING, WAITING, ANSWERED, ABANDONED };

struct exchange_header {
    const char *name, *value;
};

struct exchange_answer_header {
    struct exchange_answer_header *next;
    const char *name, *value;
};

struct http_exchange {
    atomic_uint references;
    struct http_server *server;
    struct MHD_Connection *connection;

    enum http_method method;
    const char *method_name;
    struct str path, query;
    struct exchange_header *headers;
    size_t headers_len;
    struct query_parameter *parameters; /* NULL until asked for */
    size_t parameters_len;
    struct buffer body;
    atomic_size_t received;     /* bytes of it */
    bool coming;                /* (server lock) it is not whole yet */
    atomic_bool answered_aside; /* before it was */
    int64_t coming_since_us;    /* (server lock) */
    size_t dropped;             /* bytes of a body that is too large, read only to be able to answer */
    struct arena *arena;

    struct exchange_answer_header *answer_headers;
    enum exchange_state state; /* (L) */
    unsigned status;
    struct MHD_Response *response; /* (L); owned */

    void (*gone)(void *arg);
    void *gone_arg;

    /* A stream (http/stream.c). */
    const struct http_stream_ops *ops;
    void *stream_state;
    bool chunked;     /* the peer understands chunks */
    bool handed_over; /* its socket is ours */
    atomic_bool woken;
    bool queued;   /* (server's stream lock, as the next two) */
    int stream_fd; /* -1: not yet, or no longer */
    struct http_exchange *next_queued;
    struct http_exchange *next_stream, *previous_stream; /* from here on the stream thread's alone */
    bool adopted, over;
    char *unsent; /* what the peer has not taken yet */
    size_t unsent_n;
    int64_t blocked_since_us;

    /* Known to the server while deferred (server lock). */
    struct http_exchange *next, *previous;
    bool live;
    bool handled;  /* counted in the server's `busy` */
    int polled_fd; /* -1: nobody looks for a hang-up yet */
    int64_t waiting_since_us;
};

struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection, const char *uri);
void exchange_take_request(struct http_exchange *x, const char *method);
struct http_exchange *exchange_ref(struct http_exchange *x);
void exchange_unref(struct http_exchange *x);
pthread_mutex_t *exchange_lock(struct http_exchange *x);

/* On the event thread, with the lock held: the connection sleeps until MHD_resume_connection. */
void exchange_wait(struct http_exchange *x);
/* With the lock held; the peer has gone (`answer` NULL) or the server stops. */
void exchange_abandon(struct http_exchange *x, unsigned status, struct MHD_Response *answer);
/* The answer that http itself gives, in the form of metav1.Status. */
struct MHD_Response *exchange_status_response(enum reason reason, const char *message);
/* On the event thread, before the handler was called. */
enum MHD_Result exchange_queue(struct http_exchange *x, unsigned status, struct MHD_Response *response);
enum MHD_Result exchange_refuse(struct http_exchange *x, enum reason reason, const char *message);
/* Gives the response and ends the answerer's part in the exchange. */
void exchange_answer(struct http_exchange *x, unsigned status, struct MHD_Response *response);
/* A response with its type and the headers added so far. */
void exchange_fill_headers(struct http_exchange *x, struct MHD_Response *response, const char *content_type);
/* The connection ends with this answer. */
void exchange_close_after(struct http_exchange *x, struct MHD_Response *response);
