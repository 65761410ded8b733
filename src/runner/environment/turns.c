#include "runner/environment/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/thread.h"

/* Asked for the last time so long ago: it does not wait any more. */
#define FORGOTTEN_US ((int64_t)5 * TURNS_ASK_MS * 1000)

struct turn {
    struct turn *next;
    char *name;
    int64_t begun_us; /* 0: waits */
    int64_t asked_us;
};

struct turns {
    pthread_mutex_t lock;
    struct queue *queue;
    unsigned at_once;
    int64_t turn_us;
    struct turn *first; /* in the order in which they came */
};

struct turns *turns_new(unsigned at_once, unsigned turn_seconds, struct queue *queue)
{
    struct turns *t = xcalloc(1, sizeof(*t));

    t->at_once = at_once;
    t->turn_us = (int64_t)turn_seconds * 1000000;
    t->queue = queue;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void turn_free(struct turn *one)
{
    free(one->name);
    free(one);
}

void turns_free(struct turns *t)
{
    if (t == NULL)
        return;
    for (struct turn *one = t->first, *next; one; one = next) {
        next = one->next;
        turn_free(one);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static struct turn **find_turn(struct turns *t, const char *name)
{
    ASSERT_LOCKED(&t->lock);
    struct turn **at = &t->first;

    while (*at && !streq((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static bool counts(const struct turns *t, const struct turn *one, int64_t now)
{
    return one->begun_us ? now - one->begun_us < t->turn_us : now - one->asked_us < FORGOTTEN_US;
}

/* Those that are being started, wherever they stand, and those that wait in front of it. */
static unsigned count_before(const struct turns *t, const struct turn *one, int64_t now)
{
    bool in_front = true;
    unsigned n = 0;

    for (const struct turn *other = t->first; other; other = other->next) {
        if (other == one)
            in_front = false;
        else if ((in_front || other->begun_us) && counts(t, other, now))
            n++;
    }
    return n;
}

bool turns_take(struct turns *t, const char *name, unsigned *before)
{
    int64_t now = clock_monotonic_us();

    LOCK_SCOPE(&t->lock);
    struct turn **at = find_turn(t, name);
    if (*at == NULL) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->name = xstrdup(name);
    }
    struct turn *one = *at;
    one->asked_us = now;
    *before = one->begun_us ? 0 : count_before(t, one, now);
    if (one->begun_us == 0 && *before < t->at_once)
        one->begun_us = now;
    return one->begun_us != 0;
}

static void call_next(struct turns *t)
{
    ASSERT_LOCKED(&t->lock);
    int64_t now = clock_monotonic_us();

    for (const struct turn *one = t->first; one; one = one->next) {
        if (one->begun_us)
            continue;
        if (count_before(t, one, now) >= t->at_once)
            break;
        queue_add(t->queue, one->name);
    }
}

void turns_leave(struct turns *t, const char *name)
{
    LOCK_SCOPE(&t->lock);
    struct turn **at = find_turn(t, name), *one = *at;

    if (one == NULL)
        return;
    *at = one->next;
    turn_free(one);
    call_next(t);
}
