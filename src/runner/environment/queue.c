#include "runner/environment/queue.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"

#define NEVER INT64_MAX

struct item {
    char *name;
    int64_t due_us; /* NEVER: not wanted */
    bool working;
    size_t at; /* in the heap; SIZE_MAX: not in it */
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct map *items;
    struct item **heap; /* by due_us */
    size_t heap_len, heap_capacity;
    bool shut;
};

struct queue *queue_new(void)
{
    struct queue *q = xcalloc(1, sizeof(*q));
    pthread_mutex_init(&q->lock, NULL);
    cond_init_monotonic(&q->wake);
    q->items = map_new();
    return q;
}

static void item_free(void *p)
{
    struct item *i = p;
    free(i->name);
    free(i);
}

void queue_free(struct queue *q)
{
    if (q == NULL)
        return;
    map_free(q->items, item_free);
    free(q->heap);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void heap_place(struct queue *q, size_t at, struct item *i)
{
    q->heap[at] = i;
    i->at = at;
}

static void heap_sift_up(struct queue *q, struct item *i)
{
    size_t at = i->at;

    while (at && q->heap[(at - 1) / 2]->due_us > i->due_us) {
        heap_place(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(q, at, i);
}

static void heap_sift_down(struct queue *q, struct item *i)
{
    size_t at = i->at;

    for (size_t child; (child = 2 * at + 1) < q->heap_len; at = child) {
        if (child + 1 < q->heap_len && q->heap[child + 1]->due_us < q->heap[child]->due_us)
            child++;
        if (q->heap[child]->due_us >= i->due_us)
            break;
        heap_place(q, at, q->heap[child]);
    }
    heap_place(q, at, i);
}

static void heap_push(struct queue *q, struct item *i)
{
    ASSERT_LOCKED(&q->lock);
    if (q->heap_len == q->heap_capacity) {
        q->heap_capacity = q->heap_capacity ? 2 * q->heap_capacity : 64;
        q->heap = xreallocarray(q->heap, q->heap_capacity, sizeof(struct item *));
    }
    heap_place(q, q->heap_len++, i);
    heap_sift_up(q, i);
}

static struct item *heap_pop(struct queue *q)
{
    ASSERT_LOCKED(&q->lock);
    struct item *first = q->heap[0], *last = q->heap[--q->heap_len];

    first->at = SIZE_MAX;
    if (last != first) {
        heap_place(q, 0, last);
        heap_sift_down(q, last);
    }
    return first;
}

static void queue_add_due(struct queue *q, const char *name, int64_t due_us)
{
    LOCK_SCOPE(&q->lock);
    struct item *i = map_get(q->items, str_from(name));

    if (i == NULL) {
        i = xcalloc(1, sizeof(*i));
        *i = (struct item){xstrdup(name), NEVER, false, SIZE_MAX};
        map_set(q->items, str_from(name), i);
    }
    if (due_us >= i->due_us)
        return;
    i->due_us = due_us;
    if (i->working)
        return; /* queue_done puts it in */
    if (i->at == SIZE_MAX)
        heap_push(q, i);
    else
        heap_sift_up(q, i);
    pthread_cond_signal(&q->wake);
}

void queue_add(struct queue *q, const char *name)
{
    queue_add_due(q, name, clock_monotonic_us());
}

void queue_add_after(struct queue *q, const char *name, unsigned ms)
{
    queue_add_due(q, name, clock_monotonic_us() + (int64_t)ms * 1000);
}

const char *queue_take(struct queue *q)
{
    LOCK_SCOPE(&q->lock);

    while (!q->shut) {
        if (q->heap_len == 0) {
            pthread_cond_wait(&q->wake, &q->lock);
            continue;
        }
        struct item *first = q->heap[0];
        if (first->due_us > clock_monotonic_us()) {
            cond_wait_until(&q->wake, &q->lock, first->due_us);
            continue;
        }
        heap_pop(q);
        /* Who waited for this one hands the wait for the next on: the others may all wait for nothing in particular. */
        if (q->heap_len)
            pthread_cond_signal(&q->wake);
        first->due_us = NEVER;
        first->working = true;
        return first->name;
    }
    return NULL;
}

void queue_done(struct queue *q, const char *name)
{
    LOCK_SCOPE(&q->lock);
    struct item *i = map_get(q->items, str_from(name));

    assert(i && i->working); /* given out by queue_take */
    i->working = false;
    if (i->due_us == NEVER) {
        map_remove(q->items, str_from(name));
        item_free(i);
        return;
    }
    heap_push(q, i);
    pthread_cond_signal(&q->wake);
}

void queue_shut(struct queue *q)
{
    LOCK_SCOPE(&q->lock);
    q->shut = true;
    pthread_cond_broadcast(&q->wake);
}
