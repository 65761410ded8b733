#pragma once

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "base/attributes.h"

/* LOCK_SCOPE(&m) holds the mutex until the end of the block. */
static inline pthread_mutex_t *lock_mutex(pthread_mutex_t *m)
{
    pthread_mutex_lock(m);
    return m;
}
static inline void cleanup_unlockp(pthread_mutex_t **m)
{
    pthread_mutex_unlock(*m);
}
#define LOCK_SCOPE_NAME2(line) _scope_lock_##line
#define LOCK_SCOPE_NAME(line) LOCK_SCOPE_NAME2(line)
#define LOCK_SCOPE(m) _cleanup_(cleanup_unlockp) _unused_ pthread_mutex_t *LOCK_SCOPE_NAME(__LINE__) = lock_mutex(m)

/* At the border of what a lock guards: it is held, by whomever. */
#define ASSERT_LOCKED(m) assert(pthread_mutex_trylock(m) == EBUSY)

/* A condition variable on the monotonic clock, so that a changed wall clock moves no deadline. */
void cond_init_monotonic(pthread_cond_t *c);
/* Waits at most until `deadline_us` (clock_monotonic_us). Returns 0 when woken, ETIMEDOUT after it. */
int cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, long long deadline_us);
/* Starts a thread with all signals blocked; aborts where none can be had. `name` at most 15 bytes. */
pthread_t thread_start(const char *name, void *(*fn)(void *), void *arg);
