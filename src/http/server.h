#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"

struct http_server {
    atomic_uint references; /* the caller's until stop, and one of each exchange */
    struct http_options options;
    http_handler *handler;
    void *arg;
    struct MHD_Daemon *daemon;
    int listen_fd; /* ours: a duplicate */
    atomic_uint connections;
    atomic_bool stopping;
    atomic_uint busy; /* exchanges whose handler was called and whose answer is not out */
    atomic_llong log_second;
    atomic_uint log_lines;

    pthread_mutex_t lock;
    pthread_cond_t quiet;         /* nothing is busy */
    struct http_exchange *live;   /* deferred ones */
    struct http_exchange *coming; /* whose body is not whole yet */

    /* http/hangup.c */
    int epoll_fd, wake_fd;
    pthread_t hangup_thread;
    struct polled {
        struct http_exchange *x;
        uint32_t generation;
    } * polled; /* by descriptor */
    size_t polled_len;
    uint32_t generation;

    /* http/stream.c */
    pthread_mutex_t stream_lock;
    struct http_exchange *queue, *queue_last; /* (stream lock) */
    struct http_exchange *streams;
    size_t blocked; /* streams with something unsent */
    char *stream_buffer;
    int stream_epoll_fd, stream_wake_fd, dead_fd;
    atomic_bool streams_stop;
    pthread_t stream_thread;

    pthread_mutex_t locks[64]; /* of exchanges: exchange_lock */
};

struct http_server *http_server_ref(struct http_server *s);
void http_server_unref(struct http_server *s);

/* Puts an exchange among the live ones: the server knows whom to end when it stops. */
void server_add_live(struct http_exchange *x);
/* The connection has gone: nothing of the server leads to the exchange any more. */
void server_remove_live(struct http_exchange *x);

/* --- hangup.c --- */
int hangup_start(struct http_server *s, struct error **err) _must_check_;
void hangup_stop(struct http_server *s);
/* At once, for an exchange whose owner wants to know; others are looked at when they are deferred for long. */
void hangup_look_at(struct http_exchange *x);
/* With the server lock held. */
void hangup_forget(struct http_exchange *x);

/* --- stream.c --- */
int streams_start(struct http_server *s, struct error **err) _must_check_;
void streams_stop(struct http_server *s); /* ends all; nothing may be handed over any more */
void streams_free(struct http_server *s);
