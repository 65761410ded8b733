#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/workers.h"
#include "server/api/api.h"

/*
 * The API over a real store in a temporary folder and a real HTTP server on a unix socket, with a kind of the tests'
 * own: Widget (everything a definition can say, hooks, finalizers, own subresources). Who is asking: headers X-User and
 * X-Role (1 may everything, 2 owns widgets, 0 nobody).
 */
struct fixture {
    char directory[64], socket[96], database[96];
    struct kind *widget;
    struct workers *workers, *parsers;
    struct store *store;
    struct api *api;
    struct flow *flow;
    struct http_server *server;
    int listen_fd;
    size_t log_max_events;                    /* 0: 10000; set before the start */
    unsigned watch_seconds, bookmark_seconds; /* likewise; 0: the default */
    /* Likewise; NULL: nobody. */
    void (*audit)(void *context, const struct operation *op, const struct operation_outcome *outcome);
};

void fixture_start(struct fixture *f);
void fixture_stop(struct fixture *f);
/* Stops and starts on the same database. */
void fixture_restart(struct fixture *f);

#define WIDGETS "/apis/test.example.io/v1/widgets"
#define WIDGET(name, spec)                                                                                             \
    "{\"apiVersion\":\"test.example.io/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"" name "\"},\"spec\":" spec "}"

/* What the widget's hooks saw last. */
struct seen {
    atomic_int prepared; /* on a worker */
    int admitted, removed;
    enum write_operation operation;
    bool dry_run, had_old;
    char secret[64];
};
extern struct seen seen;
