#include "http/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/thread.h"

#define SECOND_US 1000000
#define STOPPING_MS 10
/* Turns in a round. */
#define TURNS 256

/* Edge-triggered: nobody has to read it empty. */
static void on_woken(struct loop_watched *w, uint32_t events)
{
}

int loop_init(struct loop *l, const struct loop_hooks *hooks, struct error **err)
{
    *l = (struct loop){.hooks = *hooks, .wake.on_events = on_woken};
    pthread_mutex_init(&l->lock, NULL);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->wake_fd < 0 || loop_watch(l, l->wake_fd, EPOLLIN | EPOLLET, &l->wake) < 0)
        return error_errno(err, errno, "cannot wait for connections");
    return 0;
}

void loop_free(struct loop *l)
{
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
}

/* --- What others hand over --- */

static void wake_loop(struct loop *l)
{
    uint64_t one = 1;

    if (write(l->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}

void loop_post(struct loop *l, struct loop_posted *p)
{
    p->next = NULL;
    pthread_mutex_lock(&l->lock);
    *(l->first ? &l->last->next : &l->first) = p;
    l->last = p;
    bool asleep = l->asleep;
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
    if (asleep)
        wake_loop(l);
}

static struct loop_posted *next_posted(struct loop *l)
{
    LOCK_SCOPE(&l->lock);
    struct loop_posted *p = l->first;
    if (p)
        l->first = p->next;
    return p;
}

static bool has_posted(struct loop *l)
{
    LOCK_SCOPE(&l->lock);
    return l->first;
}

static void give_turns(struct loop *l)
{
    struct loop_posted *p;

    for (int i = 0; i < TURNS && (p = next_posted(l)); i++)
        p->on_turn(p, l);
}

/* --- What is watched --- */

int loop_watch(struct loop *l, int fd, uint32_t events, struct loop_watched *w)
{
    struct epoll_event event = {.events = events, .data.ptr = w};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void loop_watch_again(struct loop *l, int fd, uint32_t events, struct loop_watched *w)
{
    struct epoll_event event = {.events = events, .data.ptr = w};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0)
        abort();
}

void loop_forget(struct loop *l, int fd)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* --- The thread --- */

void loop_need_seconds(struct loop *l)
{
    if (!l->seconds)
        l->second_us = l->now_us + SECOND_US;
    l->seconds = true;
}

bool loop_is_mine(const struct loop *l)
{
    return pthread_equal(l->self, pthread_self());
}

static int sleep_ms(struct loop *l)
{
    LOCK_SCOPE(&l->lock);
    l->asleep = l->first == NULL;
    if (!l->asleep)
        return 0;
    if (atomic_load(&l->stop))
        return STOPPING_MS;
    return l->seconds ? (int)((l->second_us - l->now_us) / 1000 + 1) : -1;
}

static void run_round(struct loop *l)
{
    struct epoll_event events[64];
    int n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), sleep_ms(l));

    pthread_mutex_lock(&l->lock);
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
    l->now_us = clock_monotonic_us();
    for (int i = 0; i < n; i++) {
        struct loop_watched *w = events[i].data.ptr;
        w->on_events(w, events[i].events);
    }
    give_turns(l);
    if (l->seconds && l->now_us >= l->second_us) {
        l->second_us = l->now_us + SECOND_US;
        l->seconds = l->hooks.on_second(l);
    }
}

static void *run_loop(void *arg)
{
    struct loop *l = arg;

    l->self = pthread_self();
    l->now_us = clock_monotonic_us();
    while (!atomic_load(&l->stop))
        run_round(l);
    l->hooks.on_stop(l);
    while (has_posted(l) || !l->hooks.is_over(l))
        run_round(l);
    return NULL;
}

void loop_start(struct loop *l, const char *name)
{
    l->thread = thread_start(name, run_loop, l);
}

void loop_ask_to_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    wake_loop(l);
}

void loop_join(struct loop *l)
{
    pthread_join(l->thread, NULL);
}

void loop_finish(struct loop *l)
{
    l->self = pthread_self();
    do
        give_turns(l);
    while (has_posted(l) || !l->hooks.is_over(l));
}
