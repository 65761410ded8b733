#pragma once

#include "server/store/object.h"
#include "server/store/room.h"

/*
 * Where the bytes live. A backend knows rows and transactions, and nothing of readers, groups or watchers; the store
 * above it calls it from one thread at a time.
 */

/* One object written or deleted: a row of the log, and the object's row. */
struct backend_write {
    enum event_type type;
    const char *collection;
    struct object *object;   /* DELETED: its final state */
    struct object *previous; /* NULL for ADDED */
};

struct backend_secret {
    const char *scope;
    struct str key, value; /* value.p NULL: remove */
};

/* What one transaction holds, in order. All of it becomes durable, or nothing. */
struct backend_batch {
    const struct backend_write *writes;
    size_t writes_len;
    const struct backend_secret *secrets;
    size_t secrets_len;
    uint64_t revision;  /* after the batch */
    uint64_t log_start; /* events up to here are no longer in the log, in memory at least */
    int64_t realtime_s;
    bool low; /* the disk is nearly full: the WAL has to stay within the room that it has */
};

/* Who is told what is there, at load: objects in any order, secrets in any order, then events by revision. */
struct backend_sink {
    void *arg;
    void (*object)(void *arg, const char *collection, struct object *o); /* takes the reference */
    void (*secret)(void *arg, const char *scope, struct str key, struct str value);
    /* `o` NULL: the bytes are those of the present object. Takes the reference. */
    void (*event)(void *arg, enum event_type type, uint64_t revision, const char *collection, struct str name,
                  struct object *o, int64_t realtime_s);
};

struct backend;

struct backend_ops {
    int (*load)(struct backend *b, const struct backend_sink *sink, uint64_t *revision, struct error **err);
    /* After names were found that are not what they were: what is found by name has to be found by that. */
    int (*reindex)(struct backend *b, struct error **err);
    /* The error is ServiceUnavailable: whoever asked may try again. */
    int (*commit)(struct backend *b, const struct backend_batch *batch, struct error **err);
    /* Removes the oldest events, up to and including that revision at most; *reached says how far it came. */
    int (*compact)(struct backend *b, uint64_t revision, uint64_t *reached, struct error **err);
    /* Whether anything can be written, after something could not; `revision` is the present one. */
    int (*probe)(struct backend *b, uint64_t revision, struct error **err);
    /* Sees to it that some pages are free within the file. */
    int (*spare)(struct backend *b, struct error **err);
    /* Gives a piece of what is free in the file back to the disk. 1: there is more, 0: all done. */
    int (*shrink)(struct backend *b, struct error **err);
    void (*close)(struct backend *b);
};

struct backend {
    const struct backend_ops *ops;
};

/* DIRECTORY/open-hydra.db */
struct backend *sqlite_open(const char *directory, const struct room *room, bool no_sync, struct error **err)
    _must_check_;
