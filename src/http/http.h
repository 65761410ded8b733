#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/*
 * HTTP/1.1 on listening unix sockets, and what handlers see of it. A server has two threads: one for requests and
 * answers, and one for what takes long, streams and bodies that are taken as they come.
 *
 * A handler is called once per request, on the first of them, when the whole body is there (or at once, where the body
 * gate said so). It must not block. It answers at once, or returns without an answer («deferred»): then the connection
 * sleeps until somebody answers from any thread. An exchange lives until it is answered; whoever answers must not touch
 * it afterwards.
 */
enum http_role {
    HTTP_GATEWAY, /* gateway.sock: nginx; its identity headers are believed */
    HTTP_AUTH,    /* auth.sock: nginx's auth_request alone */
    HTTP_RUNNER,  /* runner.sock: the runner alone */
    HTTP_LOGS,    /* the runner's logs.sock: the server alone */
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_exchange;
typedef void http_handler(struct http_exchange *x, void *arg);

enum http_body_use {
    HTTP_BODY_COLLECTED = 0, /* it is there when the handler is called */
    HTTP_BODY_RECEIVED = 1,  /* the handler is called first, and takes it by http_receive, or answers without it */
};

/* Asked once the headers of a request with a body are there, on the event thread: how large the body may be (`max` is
 * the server's maximum before) and what becomes of it, or a refusal (negative), which is answered at once. Must not
 * block. */
typedef int http_body_gate(struct http_exchange *x, void *arg, size_t *max, struct error **err);

struct http_options {
    int listen_fd; /* a listening socket, non-blocking; stays the caller's */
    enum http_role role;
    uid_t peer_uid;            /* only this user (and root) may speak here; (uid_t)-1: anybody who can connect */
    unsigned max_connections;  /* more are closed at once */
    size_t max_body;           /* bytes; more is 413 */
    http_body_gate *body_gate; /* NULL: that maximum for all */
    unsigned
        body_seconds; /* for the whole of a small body, 408 afterwards; 0: 10. A second more for each 64 KiB. Of one
                                * that is received: for each 64 KiB; 0: 60 */
    unsigned idle_seconds; /* a connection that neither sends nor takes is closed (suspended ones are not idle) */
};

struct http_server;
struct http_server *http_server_start(const struct http_options *options, http_handler *handler, void *arg,
                                      struct error **err) _must_check_;
/* Stops accepting, ends open streams (their close is called), waits for the thread. Deferred exchanges that nobody
 * answered yet are answered with 503. */
void http_server_stop(struct http_server *s);

/* The request. Strings live as long as the exchange. */
enum http_role http_role(const struct http_exchange *x);
enum http_method http_method(const struct http_exchange *x);
const char *http_method_name(const struct http_exchange *x);
struct str http_path(const struct http_exchange *x);               /* still percent-encoded, no query */
const char *http_query(struct http_exchange *x, const char *name); /* decoded; NULL: absent; first one wins */
bool http_next_query(struct http_exchange *x, size_t *at, const char **name, const char **value);
const char *http_header(const struct http_exchange *x, const char *name); /* any case; NULL: absent */
/* The name under which nginx hands on what a browser sends as Cookie. */
#define HTTP_COOKIES "X-Original-Cookie"
struct str http_body(const struct http_exchange *x);
unsigned long long http_announced(const struct http_exchange *x); /* of the body, bytes; 0: nothing was */
struct arena *http_arena(struct http_exchange *x);                /* freed with the exchange */

/* The answer: any number of headers, then exactly one of the three. HEAD sends no body whatever is given. */
void http_add_header(struct http_exchange *x, const char *name, const char *value);
void http_reply(struct http_exchange *x, unsigned status, const char *content_type, struct str body); /* copies */
/* Sends `body` without a copy and calls release(owner) when it is no longer needed. */
void http_reply_shared(struct http_exchange *x, unsigned status, const char *content_type, struct str body, void *owner,
                       void (*release)(void *owner));

/* For whoever defers: `gone` is called once where the peer goes, or the server stops, before the answer is given; from
 * a thread of ours and under a lock of the exchange, so that it may call nothing of it. The answer is still owed, and
 * once it is given `gone` is not called any more. Before the handler returns. While a sink has the body, its end says
 * so instead. */
void http_on_gone(struct http_exchange *x, void (*gone)(void *arg), void *arg);

/* A body that comes bit by bit: pulled by the connection when its peer takes bytes, so that a slow one holds nothing.
 */
struct http_stream_ops {
    /* Puts at most `max` bytes into `out`. > 0: that many; 0: nothing now, sleep until http_stream_wake;
     * -1: the end; -2: broken, cut the connection. */
    ssize_t (*read)(void *state, char *out, size_t max);
    /* The last call: sent, cut, or the peer has gone (noticed while sleeping too). */
    void (*close)(void *state);
};
/* One thread reads all streams of a server: neither read nor close may block. close may come before http_stream
 * returns (the peer had gone), so that a lock which close takes must not be held by the caller. The connection ends
 * with the stream. */
void http_stream(struct http_exchange *x, unsigned status, const char *content_type, const struct http_stream_ops *ops,
                 void *state);
/* From any thread, until close has been called (the caller's own lock in close keeps the order). Cheap when awake. */
void http_stream_wake(struct http_exchange *x);

/* A request's body that is taken as it comes (HTTP_BODY_RECEIVED). While the sink takes nothing, nothing is read: the
 * peer waits, and at most what one read brought is held. */
struct http_sink_ops {
    /* > 0: took that many of the n bytes; 0: none now, sleep until http_receive_wake; -1: no more, and this was the
     * last call: what comes yet is read and dropped, and the connection ends with the answer. */
    ssize_t (*write)(void *state, const char *p, size_t n);
    /* The last call. `why` NULL: the body was whole. Otherwise it is cut: the peer has gone or is too slow, it was
     * larger than allowed or no HTTP, or the server stops. */
    void (*end)(void *state, const struct error *why);
};
/* Once, from any thread. Neither write nor end may block. end may come before http_receive returns, as close may. The
 * answer is given after the last call, from within it or later; where nobody is there to hear it, it is dropped. */
void http_receive(struct http_exchange *x, const struct http_sink_ops *ops, void *state);
/* From any thread, until the last call. */
void http_receive_wake(struct http_exchange *x);
