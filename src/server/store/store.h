#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "server/store/object.h"

/*
 * Objects with one revision counter, on disk before anybody is told.
 *
 * Reads come from memory: immutable, reference-counted objects whose bytes are the serialised JSON. Writes are
 * functions that one writer thread runs one after the other inside a transaction; what many of them stage is committed
 * together (group commit, fsync), then published to readers and watchers, then each caller is told. A function that
 * fails takes only its own staged writes with it; a commit that fails (disk full) fails all of that group and publishes
 * nothing.
 *
 * The store knows no kinds: a collection is a name («devices»), an object in it has a name. Secrets are private records
 * (password hashes, sessions, allocations) in the same transactions, which never appear in an object or in the log.
 */
/* Of what is written all the time, so that it does not push out what others resume from. 0: no limit of its own. */
struct store_log_limit {
    const char *collection;
    size_t max_events;
    unsigned max_age_seconds;
};

struct store_options {
    const char *directory;                    /* exists; holds open-hydra.db and a lock file */
    size_t log_max_events;                    /* 0: 10,000; in memory and on disk; the oldest go by count, … */
    size_t log_max_bytes;                     /* … by what they keep in memory, 0: 64 MiB, … */
    unsigned log_max_age_seconds;             /* … and by age; 0: no limit */
    unsigned trim_milliseconds;               /* that often while nobody writes; 0: 15,000 */
    const struct store_log_limit *log_limits; /* of collections that may have less than there is room for */
    size_t log_limits_len;
    /* What is wrong with an object that was read at the start; NULL: only that it has to be JSON. One that fails is set
     * aside: neither listed nor watched, its name taken until it is deleted or written over. */
    int (*check)(void *arg, const char *collection, const struct object *o, struct error **err);
    void *check_arg;
    uint64_t reserve_bytes; /* of the disk, for what has to go on when it is full (txn_essential) */
    bool no_sync;           /* benches only: synchronous=OFF */
};

struct store;
/* A second server on the same directory, a damaged or a foreign database, a newer schema: refused with what to do. */
struct store *store_open(const struct store_options *options, struct error **err) _must_check_;
void store_close(struct store *s); /* after the last caller; commits what is queued */

/* --- Reading (any thread) --- */
uint64_t store_revision(struct store *s);                                           /* of the last published commit */
struct object *store_get(struct store *s, const char *collection, struct str name); /* a reference, or NULL */
/* Calls each(object) for every object of the collection in order of name, from after `after` ("" = from the start),
 * until it returns false. The read lock is held meanwhile: copy or reference, do not block, and do not call the store.
 * Returns the revision the list stands for. */
uint64_t store_list(struct store *s, const char *collection, struct str after,
                    bool (*each)(void *arg, struct object *o), void *arg);
size_t store_count(struct store *s, const char *collection);
/* Why an object was set aside, to be freed; NULL: there is none of that name that was. */
char *store_damaged(struct store *s, const char *collection, struct str name);
size_t store_damaged_count(struct store *s, const char *collection); /* NULL: of all */
/* What the log of events holds: `bytes` of memory at most, as objects that several share count for each. */
struct store_log_size {
    size_t events, bytes;
};
struct store_log_size store_log_size(struct store *s);
/* A private record; the caller frees. NULL: absent. */
char *store_secret(struct store *s, const char *scope, struct str key, size_t *n);
void store_secret_list(struct store *s, const char *scope, bool (*each)(void *arg, struct str key, struct str value),
                       void *arg);

/* 0, or why what is written is not kept now: the last commit failed, one hangs, the disk is full. `now_us`: monotonic.
 */
int store_health(struct store *s, int64_t now_us, struct error **err) _must_check_;

/* --- Writing --- */
struct store_txn;
typedef int store_fn(struct store_txn *t, void *arg, struct error **err);
/* Queues fn; `done` is called on the writer thread once the commit is on disk and published (err NULL), or with the
 * error, which it must free. done must not block. */
void store_submit(struct store *s, store_fn *fn, void *arg, void (*done)(void *arg, struct error *err));
/* The same, waiting. Not from an event thread, nor from anything that the store calls. */
int store_run(struct store *s, store_fn *fn, void *arg, struct error **err) _must_check_;

/* Inside fn: what is staged by this and earlier functions of the group is visible. */
struct object *txn_get(struct store_txn *t, const char *collection,
                       struct str name); /* borrowed until fn returns; NULL: absent */
void txn_list(struct store_txn *t, const char *collection, bool (*each)(void *arg, struct object *o), void *arg);
/* The revision that the next txn_put or txn_delete will have: it goes into the JSON text. */
uint64_t txn_next_revision(struct store_txn *t);
/* Creates or replaces. The bytes are copied. Event: ADDED or MODIFIED. */
void txn_put(struct store_txn *t, const char *collection, const char *name, const char *uid, struct str json);
/* The uid of an object that was set aside, borrowed; NULL: there is none of that name. */
const char *txn_damaged(struct store_txn *t, const char *collection, struct str name);
/* Removes, also what was set aside; `final_json` (with the next revision as its resourceVersion) is what watchers get
 * in DELETED. */
void txn_delete(struct store_txn *t, const char *collection, const char *name, struct str final_json);
struct str txn_secret(struct store_txn *t, const char *scope, struct str key); /* borrowed; p == NULL: absent */
void txn_secret_list(struct store_txn *t, const char *scope, bool (*each)(void *arg, struct str key, struct str value),
                     void *arg);
void txn_secret_put(struct store_txn *t, const char *scope, struct str key, struct str value);
void txn_secret_delete(struct store_txn *t, const char *scope, struct str key);
/* What fn stages goes on when the disk is full, in the room that is kept for it: what ends things, and says how they
 * are. Without it, what makes an object or lets one grow is refused then (InsufficientStorage); private records never
 * are. */
void txn_essential(struct store_txn *t);
/* Dry run: fn succeeds, but nothing that it staged is kept. */
void txn_abandon(struct store_txn *t);
/* Calls fn(arg) on the writer thread after this function's writes have been published (never when they were dropped;
 * then only free_arg, which is called in both cases). For ending sessions, waking others. */
void txn_after_commit(struct store_txn *t, void (*fn)(void *arg), void *arg, void (*free_arg)(void *arg));

/* --- Watching --- */
/* Copies up to `max` events of the collection with revision > `after` into `out`, oldest first, each with references
 * that the caller drops (event_release). *reached becomes the revision up to which the log has been looked at (a
 * bookmark). Returns their number, or -1 (Expired) where the log no longer reaches back to `after`; a revision in the
 * future is an error of reason Timeout ("Too large resource version"). */
int store_events(struct store *s, const char *collection, uint64_t after, struct event *out, size_t max,
                 uint64_t *reached, struct error **err) _must_check_;
/* A watcher is told by wake(arg), on the writer's or a notifier's thread, after each commit that touches the
 * collection. It must not block. After store_unwatch has returned, wake is not running and will not be called. */
struct store_watch {
    struct store_watch *next, *previous;
    void (*wake)(void *arg);
    void *arg;
};
void store_watch(struct store *s, const char *collection, struct store_watch *w);
void store_unwatch(struct store *s, const char *collection, struct store_watch *w);
