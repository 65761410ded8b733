#pragma once

#include <pthread.h>

#include "server/api/api.h"
#include "server/hooks/context.h"
#include "server/hooks/publisher.h"

/* Data sets and courses at work: their folders, who is sending something, and who publishes it. */

/* Requests that send, all together; each has a thread and half a megabyte. */
#define TRANSFERS_MAX 16

/* One who writes an upload now. */
struct transfer {
    struct transfer *next;
    struct library *library;
    const char *id;          /* of the upload */
    void (*stop)(void *arg); /* somebody else wants it; under a lock, must not block */
    void *arg;
};

struct content {
    const struct config *config;
    struct store *store;
    struct api *api;
    struct library libraries[2];
    struct publisher *publisher;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct transfer *transfers; /* (lock) */
    unsigned threads, uploads;  /* (lock) that run; of these with a place among TRANSFERS_MAX */
};

struct content *content_new(const struct config *config, struct store *store);
/* Before the first request: from then on requests may come. */
void content_start(struct content *c, struct api *api);
/* After the last request has been taken: waits for those that are being answered. */
void content_free(struct content *c); /* NULL allowed */

/* By the kind's plural; asserts that it is one of ours. */
struct library *content_library(struct content *c, const char *plural);

/* Runs fn(arg) in a thread of its own, or 429. */
int content_run(struct content *c, void (*fn)(void *arg), void *arg, struct error **err) _must_check_;
/* The same without taking a place: for who has a limit of its own. */
void content_run_beside(struct content *c, void (*fn)(void *arg), void *arg);
/* From such a thread: the upload is this one's alone from now on. Whoever has it is stopped, and waited for.
 * Conflict where that takes too long. */
int content_take(struct content *c, struct transfer *t, struct error **err) _must_check_;
void content_give(struct content *c, struct transfer *t);
bool content_is_taken(struct content *c, const struct library *l, const char *id);
