#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

/* How the writer is, for whoever asks. */
struct store_state {
    pthread_mutex_t lock;
    struct error *failure;         /* of the last commit; NULL: it was kept. Set by the writer, under the lock */
    _Atomic int64_t busy_since_us; /* monotonic; 0: it waits for work */
    /* The writer's: */
    int64_t say_after_us; /* the next line about a commit that failed */
    unsigned unsaid;      /* commits that failed and were not worth a line */
};

void state_init(struct store_state *s);
void state_free(struct store_state *s);
void state_busy(struct store_state *s, int64_t now_us);
void state_idle(struct store_state *s);
bool state_failing(const struct store_state *s); /* by the writer */
/* After a commit: err NULL where it is on the disk. */
void state_committed(struct store_state *s, const struct error *err, int64_t now_us);
