#include "server/api/watch_hub.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

/* Whether who watches may still is asked this often, and with each event. */
#define LOOK_INTERVAL_US (2 * 1000000LL)

struct watch_hub {
    struct api *api;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct watch_member *first;
    size_t *count; /* by resource */
    bool closing;
};

bool watch_right_has_ended(const struct request *r)
{
    const struct api_options *o = &r->api->options;

    return o->still_holds && !o->still_holds(o->context, &r->op->who);
}

static bool look_at_right(struct watch_member *m, int64_t now_us)
{
    if (now_us >= m->look_us) {
        m->look_us = now_us + LOOK_INTERVAL_US;
        if (watch_right_has_ended(m->r))
            atomic_store(&m->right_ended, true);
    }
    return atomic_load(&m->right_ended);
}

static void wake_due(struct watch_hub *hub)
{
    int64_t now = clock_monotonic_us();

    for (struct watch_member *m = hub->first; m; m = m->next)
        if (look_at_right(m, now) || atomic_load_explicit(&m->due_us, memory_order_relaxed) <= now)
            source_wake(m->source);
}

/* Once a second, and not at all while nobody watches. */
static void *run_hub(void *arg)
{
    struct watch_hub *hub = arg;

    LOCK_SCOPE(&hub->lock);
    while (!hub->closing) {
        if (hub->first == NULL) {
            pthread_cond_wait(&hub->changed, &hub->lock);
            continue;
        }
        cond_wait_until(&hub->changed, &hub->lock, clock_monotonic_us() + 1000000);
        wake_due(hub);
    }
    return NULL;
}

struct watch_hub *watch_hub_new(struct api *api)
{
    struct watch_hub *hub = xcalloc(1, sizeof(*hub));

    hub->api = api;
    hub->count = xcalloc(api->resources_len + 1, sizeof(*hub->count));
    pthread_mutex_init(&hub->lock, NULL);
    cond_init_monotonic(&hub->changed);
    hub->thread = thread_start("watches", run_hub, hub);
    return hub;
}

void watch_hub_free(struct watch_hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_lock(&hub->lock);
    hub->closing = true;
    pthread_cond_signal(&hub->changed);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->lock);
    free(hub->count);
    free(hub);
}

size_t watch_count(struct watch_hub *hub, size_t resource)
{
    LOCK_SCOPE(&hub->lock);
    return hub->count[resource];
}

static size_t resource_index(const struct watch_member *m)
{
    return (size_t)(m->r->resource - m->r->api->resources);
}

static void wake_member(void *arg)
{
    struct watch_member *m = arg;
    source_wake(m->source);
}

void watch_hub_join(struct watch_member *m)
{
    struct api *api = m->r->api;
    struct watch_hub *hub = api->watches;

    assert(!m->joined);
    m->joined = true;
    m->link = (struct store_watch){.wake = wake_member, .arg = m};
    store_watch(api->options.store, request_collection(m->r), &m->link);
    LOCK_SCOPE(&hub->lock);
    m->next = hub->first;
    if (m->next)
        m->next->previous = m;
    else
        pthread_cond_signal(&hub->changed);
    hub->first = m;
    hub->count[resource_index(m)]++;
}

void watch_hub_leave(struct watch_member *m)
{
    struct api *api = m->r->api;
    struct watch_hub *hub = api->watches;

    if (!m->joined)
        return;
    store_unwatch(api->options.store, request_collection(m->r), &m->link);
    LOCK_SCOPE(&hub->lock);
    if (m->next)
        m->next->previous = m->previous;
    if (m->previous)
        m->previous->next = m->next;
    else
        hub->first = m->next;
    hub->count[resource_index(m)]--;
}
