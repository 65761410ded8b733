#include "base/workers.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#define LATER_MAX 1000

struct job {
    void (*fn)(void *);
    void *arg;
};

struct later {
    struct later *next;
    int64_t due_us;
    struct job job;
    void (*drop)(void *);
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct later *later; /* in order of their moments */
    size_t later_len;
    struct job *queue; /* a ring of max_queue */
    size_t max_queue, head, used;
    bool ending;
    size_t threads_len;
    pthread_t threads[];
};

static bool take_first(struct workers *w, struct job *job)
{
    if (w->used == 0)
        return false;
    *job = w->queue[w->head];
    w->head = (w->head + 1) % w->max_queue;
    w->used--;
    return true;
}

/* Its moment has come; or they end, and it does not come any more. */
static bool take_later(struct workers *w, struct job *job)
{
    struct later *first = w->later;

    if (first == NULL || (first->due_us > clock_monotonic_us() && !w->ending))
        return false;
    *job = first->job;
    if (w->ending)
        job->fn = first->drop;
    w->later = first->next;
    w->later_len--;
    free(first);
    return true;
}

static void wait_for_work(struct workers *w)
{
    if (w->later)
        cond_wait_until(&w->wake, &w->lock, w->later->due_us);
    else
        pthread_cond_wait(&w->wake, &w->lock);
}

static bool take(struct workers *w, struct job *job)
{
    LOCK_SCOPE(&w->lock);
    while (!take_later(w, job)) {
        if (take_first(w, job))
            break;
        if (w->ending)
            return false;
        wait_for_work(w);
    }
    /* Perhaps it was we who waited for that moment. */
    if (w->later)
        pthread_cond_signal(&w->wake);
    return true;
}

static void *run(void *arg)
{
    struct workers *w = arg;
    struct job job;

    while (take(w, &job))
        job.fn(job.arg);
    return NULL;
}

struct workers *workers_new(const char *name, size_t threads, size_t max_queue)
{
    struct workers *w = xcalloc(1, sizeof(*w) + threads * sizeof(pthread_t));

    pthread_mutex_init(&w->lock, NULL);
    cond_init_monotonic(&w->wake);
    w->queue = xcalloc(max_queue, sizeof(*w->queue));
    w->max_queue = max_queue;
    for (w->threads_len = 0; w->threads_len < threads; w->threads_len++)
        w->threads[w->threads_len] = thread_start(name, run, w);
    return w;
}

int workers_submit(struct workers *w, void (*fn)(void *), void *arg)
{
    LOCK_SCOPE(&w->lock);
    if (w->used == w->max_queue || w->ending)
        return -1;
    w->queue[(w->head + w->used++) % w->max_queue] = (struct job){fn, arg};
    pthread_cond_signal(&w->wake);
    return 0;
}

int workers_submit_at(struct workers *w, int64_t due_us, void (*fn)(void *), void (*drop)(void *), void *arg)
{
    LOCK_SCOPE(&w->lock);
    struct later **at = &w->later;

    if (w->later_len == LATER_MAX || w->ending)
        return -1;
    while (*at && (*at)->due_us <= due_us)
        at = &(*at)->next;
    struct later *new = xcalloc(1, sizeof(*new));
    *new = (struct later){*at, due_us, {fn, arg}, drop};
    *at = new;
    w->later_len++;
    /* Whoever waits until a later moment has to look again. */
    pthread_cond_signal(&w->wake);
    return 0;
}

void workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->threads_len; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w->queue);
    free(w);
}
