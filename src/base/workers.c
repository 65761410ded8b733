#include "base/workers.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/thread.h"

struct job {
    void (*fn)(void *);
    void *arg;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *queue; /* a ring of max_queue */
    size_t max_queue, head, used;
    bool ending;
    size_t threads_len;
    pthread_t threads[];
};

static bool take(struct workers *w, struct job *job)
{
    LOCK_SCOPE(&w->lock);
    while (w->used == 0 && !w->ending)
        pthread_cond_wait(&w->wake, &w->lock);
    if (w->used == 0)
        return false;
    *job = w->queue[w->head];
    w->head = (w->head + 1) % w->max_queue;
    w->used--;
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
    pthread_cond_init(&w->wake, NULL);
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
