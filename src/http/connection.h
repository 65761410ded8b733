#pragma once

#include <stdatomic.h>
#include <sys/uio.h>

#include "http/exchange.h"

/*
 * A connection, and what its steps (http/steps.h) are made of: reading, sending, waiting. All of it belongs to one
 * thread at a time, that of its lane.
 *
 *              ┌───────────────────────────────────────────────────────────────────┐
 *              ▼                                                                   │
 *     head ─► COLLECT ─► CALL ─► WAIT ─► SEND ─► (next head, or the end) ──────────┘
 *              │          │        ▲       │
 *              │          └► RECEIVE       ├─► STREAM ─► the end
 *              └ refused: SEND             └─► DRAIN ─► the end
 */
enum connection_state {
    READ_HEAD,    /* or nothing of it yet: idle */
    READ_BODY,    /* for http_body */
    CALL_HANDLER, /* now */
    RECEIVE_BODY, /* for a sink, or for whoever will say so */
    WAIT_ANSWER,
    SEND_ANSWER,
    SEND_STREAM,
    DRAIN, /* the answer was given before the body was whole: what comes yet is dropped */
};

enum progress {
    GO_ON,   /* with the next step */
    BLOCKED, /* until an event or a turn */
    MOVE,    /* to the other lane */
    OVER,    /* the connection ends */
};

/* What a connection waits for, and so whose time may be over. */
enum connection_wait {
    WAIT_PEER,   /* to send a head, or to take an answer: idle_seconds. In the order of since_us */
    WAIT_BODY,   /* to send a body: body_is_late */
    WAIT_OTHERS, /* an answer, a stream that sleeps, a sink that is full: as long as they like */
    WAITS,
};

struct connection_list {
    struct connection *first, *last;
};

struct service;

/* One thread of a server, and the connections that are its. */
struct lane {
    struct loop loop; /* first */
    struct service *service;
    struct connection_list lists[WAITS];
    unsigned budget; /* what the connection that runs may still do before others have their turn */
    int64_t stop_us; /* when the rest is cut */
    char *buffer;    /* BUFFER_SIZE */
};

#define BUFFER_SIZE ((size_t)64 * 1024)

/* What all connections of a server share. */
struct service {
    struct http_options options;
    http_handler *handler;
    void *arg;
    struct lane requests; /* all begin here, and handlers run here */
    struct lane bodies;   /* streams, and bodies that sinks take */
    atomic_uint connections;
    atomic_bool stopping;
};

struct connection {
    struct loop_watched watched; /* first */
    struct loop_posted posted;
    bool is_posted; /* its turn comes, and nothing else runs it until then */
    struct lane *lane;
    int fd; /* -1: it is over, but for its turn */
    enum connection_state state;

    bool readable, writable; /* as far as we know: edge-triggered */
    bool ended;              /* the peer sends no more */
    bool gone;               /* … nor takes */
    bool is_watched, watches_output;
    enum connection_wait wait;
    int64_t since_us, spent_us;
    struct connection *next, *previous;

    struct reader reader;
    char *kept; /* what was read and is not used yet */
    size_t kept_at, kept_n;

    struct http_exchange *x;
    uint64_t received; /* of its body */
    size_t piece_n;    /* of what is read: body that the sink has not taken */
    bool receives, receiving, sink_is_full;

    bool closing; /* with this answer */
    bool drains;  /* after it */
    struct answer answer;
    size_t sent;
    char *rest; /* of a stream, what the peer has not taken yet */
    size_t rest_at, rest_n;
    bool stream_over;
};

bool connection_is_stopping(const struct connection *c);
/* Enters the list of those that wait so, from now on. */
void connection_wait_for(struct connection *c, enum connection_wait wait);
/* Puts it into that list as one that waits since then; connection_unlist takes it out of its list. */
void connection_list(struct connection *c, enum connection_wait wait, int64_t since_us);
void connection_unlist(struct connection *c);

/* Reads into the lane's buffer. `input` is used up. */
enum progress connection_fill(struct connection *c, struct str *input);
/* Others first. */
enum progress connection_go_on_later(struct connection *c);
/* Returns how many bytes went out (0: the peer takes nothing now, and it is waited for), or -1: it has gone. */
ssize_t connection_send(struct connection *c, const struct iovec *parts, size_t n);
/* Nothing more is to be sent. */
void connection_forget_output(struct connection *c);

/* The answer is ready: c->answer. */
enum progress connection_answer(struct connection *c);
/* With that answer the connection ends, and what comes until the peer has noticed is dropped. */
enum progress connection_refuse(struct connection *c, enum reason reason, const char *message);
enum progress connection_refuse_with(struct connection *c, struct error *err); /* takes the error */
/* Where HTTP has a code of its own for it. */
enum progress connection_refuse_as(struct connection *c, unsigned code, const char *reason, const char *message);
/* Nothing leads from one to the other any more. */
void connection_leave_exchange(struct connection *c, const char *why);
