#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/*
 * A few threads for work that blocks or burns CPU (password hashes, large bodies), with a bounded queue in front.
 * Those who wait take turns: however much one of them has asked for, another's first piece is next but for one of
 * each. Nobody may have more than a share of the queue, and the last quarter of it is kept for reserved work
 * (administrators and the runner), whose own share is the whole.
 */
struct workers;

/* What waits or runs: pieces, and bytes that they keep in memory. */
struct workers_limits {
    size_t jobs, owner_jobs;
    size_t bytes, owner_bytes; /* 0: any */
};

struct work {
    void (*fn)(void *);
    void *arg;
    const char *owner; /* a user's name, an address; copied */
    bool reserved;
    size_t bytes;
};

struct workers *workers_new(const char *name, size_t threads, const struct workers_limits *limits);
/* Runs fn(arg) later on one of the threads. Returns -1 where a limit is reached: the caller answers 429. */
int workers_submit(struct workers *w, const struct work *work) _must_check_;
/* The same at a moment of the monotonic clock, or soon after it: then it takes its turn. At most a thousand wait so: -1
 * where there are as many. What still waits when the workers end is given to drop(arg) instead. */
int workers_submit_at(struct workers *w, int64_t due_us, const struct work *work, void (*drop)(void *)) _must_check_;
/* Finishes what is queued, then ends the threads. */
void workers_free(struct workers *w);
