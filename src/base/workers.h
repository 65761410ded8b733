#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* A few threads for work that blocks or burns CPU (password hashes), with a bounded queue in front. */
struct workers;

struct workers *workers_new(const char *name, size_t threads, size_t max_queue);
/* Runs fn(arg) later on one of the threads. Returns -1 where the queue is full: the caller answers 429. */
int workers_submit(struct workers *w, void (*fn)(void *), void *arg) _must_check_;
/* The same at a moment of the monotonic clock, or soon after it. At most a thousand wait so: -1 where there are as
 * many. What still waits when the workers end is given to drop(arg) instead. */
int workers_submit_at(struct workers *w, int64_t due_us, void (*fn)(void *), void (*drop)(void *), void *arg)
    _must_check_;
/* Finishes what is queued, then ends the threads. */
void workers_free(struct workers *w);
