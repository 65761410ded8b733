#include "server/gateway/waiting.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#define WAIT_SECONDS 4 /* less than nginx waits for us */
#define WAITING_MAX 2048
/* Nothing to wait for: until somebody comes. */
#define IDLE_SECONDS 3600

struct waiting {
    struct waiting *next;
    struct http_exchange *x;
    char *device_uid;
    int64_t deadline_us; /* monotonic */
    bool ready;
};

struct waiting_room {
    struct waiting_ops ops;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct waiting *first; /* in order of deadline */
    size_t n;
    bool stopping;
    pthread_t thread;
};

bool waiting_room_enter(struct waiting_room *room, struct http_exchange *x, const char *device_uid)
{
    struct waiting **end;

    LOCK_SCOPE(&room->lock);
    /* It may have been told since the caller looked: then nobody would wake us. */
    if (room->stopping || room->n >= WAITING_MAX || room->ops.is_told(room->ops.arg, device_uid))
        return false;
    for (end = &room->first; *end; end = &(*end)->next)
        ;
    *end = xcalloc(1, sizeof(**end));
    **end = (struct waiting){.x = x,
                             .device_uid = xstrdup(device_uid),
                             .deadline_us = clock_monotonic_us() + (int64_t)WAIT_SECONDS * 1000000};
    room->n++;
    pthread_cond_signal(&room->changed);
    return true;
}

void waiting_room_wake(struct waiting_room *room, const char *device_uid)
{
    LOCK_SCOPE(&room->lock);
    for (struct waiting *w = room->first; w; w = w->next)
        if (streq(w->device_uid, device_uid))
            w->ready = true;
    pthread_cond_signal(&room->changed);
}

/* Takes those out that are due, or all. Under the lock. */
static struct waiting *take_due(struct waiting_room *room, int64_t now_us)
{
    struct waiting *due = NULL, **due_end = &due;

    for (struct waiting **at = &room->first; *at;) {
        struct waiting *w = *at;
        if (!w->ready && w->deadline_us > now_us && !room->stopping) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = NULL;
        *due_end = w;
        due_end = &w->next;
        room->n--;
    }
    return due;
}

static void answer_all(struct waiting_room *room, struct waiting *due)
{
    while (due) {
        struct waiting *next = due->next;
        room->ops.answer(room->ops.arg, due->x);
        free(due->device_uid);
        free(due);
        due = next;
    }
}

static void *answer_the_waiting(void *arg)
{
    struct waiting_room *room = arg;
    bool stopping = false;

    while (!stopping) {
        pthread_mutex_lock(&room->lock);
        int64_t now = clock_monotonic_us();
        struct waiting *due = take_due(room, now);
        stopping = room->stopping;
        if (due == NULL && !stopping)
            cond_wait_until(&room->changed, &room->lock,
                            room->first ? room->first->deadline_us : now + (int64_t)IDLE_SECONDS * 1000000);
        pthread_mutex_unlock(&room->lock);
        answer_all(room, due);
    }
    return NULL;
}

struct waiting_room *waiting_room_new(const struct waiting_ops *ops)
{
    struct waiting_room *room = xcalloc(1, sizeof(*room));

    room->ops = *ops;
    pthread_mutex_init(&room->lock, NULL);
    cond_init_monotonic(&room->changed);
    room->thread = thread_start("gateway", answer_the_waiting, room);
    return room;
}

void waiting_room_free(struct waiting_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->stopping = true;
    pthread_cond_signal(&room->changed);
    pthread_mutex_unlock(&room->lock);
    pthread_join(room->thread, NULL);
    pthread_cond_destroy(&room->changed);
    pthread_mutex_destroy(&room->lock);
    free(room);
}
