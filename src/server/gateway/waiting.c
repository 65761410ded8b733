#include <errno.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "server/gateway/internal.h"

#define WAIT_SECONDS 4 /* less than nginx waits for us */
#define WAITING_MAX 2048
/* Nothing to wait for: until somebody comes. */
#define IDLE_SECONDS 3600

static void *wait_for_them(void *arg);

void waiting_start(struct gateway *g)
{
    pthread_mutex_init(&g->waiting_lock, NULL);
    cond_init_monotonic(&g->waiting_changed);
    g->waiter = thread_start("gateway", wait_for_them, g);
}

bool waiting_add(struct gateway *g, struct http_exchange *x, const char *device_uid)
{
    struct located at;
    struct waiting **end;

    LOCK_SCOPE(&g->waiting_lock);
    /* It may have been told since the caller looked: then nobody would wake us. */
    if (g->stopping || g->waiting_len >= WAITING_MAX || gateway_locate(g, device_uid, http_arena(x), &at))
        return false;
    for (end = &g->waiting; *end; end = &(*end)->next)
        ;
    *end = xcalloc(1, sizeof(**end));
    **end = (struct waiting){.x = x,
                             .device_uid = xstrdup(device_uid),
                             .deadline_us = clock_monotonic_us() + (int64_t)WAIT_SECONDS * 1000000};
    g->waiting_len++;
    pthread_cond_signal(&g->waiting_changed);
    return true;
}

void waiting_wake(struct gateway *g, const char *device_uid)
{
    LOCK_SCOPE(&g->waiting_lock);
    for (struct waiting *w = g->waiting; w; w = w->next)
        if (streq(w->device_uid, device_uid))
            w->ready = true;
    pthread_cond_signal(&g->waiting_changed);
}

/* Takes those out that are due, or all. */
static struct waiting *take_due(struct gateway *g, int64_t now_us)
{
    struct waiting *due = NULL, **due_end = &due;

    for (struct waiting **at = &g->waiting; *at;) {
        struct waiting *w = *at;
        if (!w->ready && w->deadline_us > now_us && !g->stopping) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = NULL;
        *due_end = w;
        due_end = &w->next;
        g->waiting_len--;
    }
    return due;
}

static void answer_all(struct gateway *g, struct waiting *due)
{
    while (due) {
        struct waiting *next = due->next;
        answer_request(g, due->x, true);
        free(due->device_uid);
        free(due);
        due = next;
    }
}

static void *wait_for_them(void *arg)
{
    struct gateway *g = arg;
    bool stopping = false;

    while (!stopping) {
        pthread_mutex_lock(&g->waiting_lock);
        int64_t now = clock_monotonic_us();
        struct waiting *due = take_due(g, now);
        stopping = g->stopping;
        if (due == NULL && !stopping)
            cond_wait_until(&g->waiting_changed, &g->waiting_lock,
                            g->waiting ? g->waiting->deadline_us : now + (int64_t)IDLE_SECONDS * 1000000);
        pthread_mutex_unlock(&g->waiting_lock);
        answer_all(g, due);
    }
    return NULL;
}

void waiting_stop(struct gateway *g)
{
    pthread_mutex_lock(&g->waiting_lock);
    g->stopping = true;
    pthread_cond_signal(&g->waiting_changed);
    pthread_mutex_unlock(&g->waiting_lock);
    pthread_join(g->waiter, NULL);
    pthread_cond_destroy(&g->waiting_changed);
    pthread_mutex_destroy(&g->waiting_lock);
}
