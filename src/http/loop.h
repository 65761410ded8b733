#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A thread that waits for descriptors, for what other threads hand it, and for the clock. What it is given says itself
 * what is to be done. A round: all events, then what was handed over (some of it: the rest waits for the next round),
 * then the clock. So whoever ends something in its own event or turn need not fear that another event names it.
 */
struct loop;

struct loop_watched {
    void (*on_events)(struct loop_watched *w, uint32_t events);
};

struct loop_posted {
    struct loop_posted *next;
    void (*on_turn)(struct loop_posted *p, struct loop *l);
};

struct loop_hooks {
    bool (*on_second)(struct loop *l); /* returns whether it wants the next one too; loop_need_seconds asks again */
    void (*on_stop)(struct loop *l);   /* asked to stop; rounds go on until … */
    bool (*is_over)(struct loop *l);   /* asked after each round from then on, and every few ms */
};

struct loop {
    struct loop_hooks hooks;
    int epoll_fd, wake_fd;
    pthread_t thread, self;
    struct loop_watched wake;
    int64_t now_us; /* at the last round's begin */
    int64_t second_us;
    bool seconds;
    atomic_bool stop;

    pthread_mutex_t lock;
    struct loop_posted *first, *last; /* (lock) */
    bool asleep;                      /* (lock) who posts must wake it */
};

/* Prepares; nothing runs yet. */
int loop_init(struct loop *l, const struct loop_hooks *hooks, struct error **err) _must_check_;
void loop_start(struct loop *l, const char *name);
void loop_ask_to_stop(struct loop *l);
void loop_join(struct loop *l); /* until its thread has ended */
/* What was posted since, on the caller's thread. */
void loop_finish(struct loop *l);
void loop_free(struct loop *l); /* nothing may be posted any more */

/* From any thread. What is posted must not be again before its turn. */
void loop_post(struct loop *l, struct loop_posted *p);

/* On the loop's thread. */
int loop_watch(struct loop *l, int fd, uint32_t events, struct loop_watched *w);
void loop_watch_again(struct loop *l, int fd, uint32_t events, struct loop_watched *w); /* with other events */
void loop_forget(struct loop *l, int fd);
void loop_need_seconds(struct loop *l);
bool loop_is_mine(const struct loop *l);
