#include "runner/environment/controller.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "kinds/names.h"
#include "runner/environment/internal.h"

/* --- what is known -------------------------------------------------------------------------------------------- */

static void environment_free(void *p)
{
    struct environment *e = p;

    if (e == NULL)
        return;
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->name);
    free(e->uid);
    free(e->owner);
    free(e->sandbox);
    free(e->reason);
    free(e->message);
    free(e->log);
    free(e->token);
    free(e->socket);
    free(e->readiness_path);
    free(e);
}

struct environment *environment_find(struct controller *c, const char *name)
{
    LOCK_SCOPE(&c->lock);
    return map_get(c->environments, str_from(name));
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

struct environment *environment_make(struct controller *c, const struct device *d)
{
    struct environment *e = xcalloc(1, sizeof(*e));

    e->name = xstrdup(d->name);
    e->uid = xstrdup(d->uid);
    e->owner = copy(d->owner);
    e->sandbox = copy(d->sandbox);
    e->host_id = d->host_id;
    e->phase = d->phase;
    e->reason = copy(d->reason);
    e->message = copy(d->message);
    e->seen_us = e->phase_since_us = clock_monotonic_us();
    e->deadline_us = INT64_MAX;
    e->look = true;
    for (size_t i = 0; i < TIMINGS; i++)
        e->timings[i] = -1;
    place_name(e->place, e->uid);
    LOCK_SCOPE(&c->lock);
    environment_free(map_set(c->environments, str_from(e->name), e));
    return e;
}

void environment_forget(struct controller *c, struct environment *e)
{
    {
        LOCK_SCOPE(&c->lock);
        map_remove(c->environments, str_from(e->name));
    }
    environment_free(e);
}

bool engine_is_up(struct controller *c, char **message)
{
    LOCK_SCOPE(&c->lock);
    if (!c->engine_up && message)
        *message = xstrdup(c->engine_message ? c->engine_message : "still looking for a container engine");
    return c->engine_up;
}

uint64_t server_epoch(struct controller *c)
{
    LOCK_SCOPE(&c->lock);
    return c->epoch;
}

bool is_lost_uid(struct controller *c, const char *uid)
{
    LOCK_SCOPE(&c->lock);
    return map_get(c->lost, str_from(uid)) != NULL;
}

void set_lost_uid(struct controller *c, const char *uid, bool lost)
{
    LOCK_SCOPE(&c->lock);
    if (lost)
        map_set(c->lost, str_from(uid), c);
    else
        map_remove(c->lost, str_from(uid));
}

bool take_look(struct controller *c, struct environment *e)
{
    LOCK_SCOPE(&c->lock);
    bool look = e->look;
    e->look = false;
    return look;
}

bool host_id_in_use(struct controller *c, const struct environment *e, uint32_t host_id)
{
    LOCK_SCOPE(&c->lock);
    struct str name;
    void *v;

    for (size_t at = 0; map_next(c->environments, &at, &name, &v);) {
        const struct environment *other = v;
        if (other != e && other->host_id == host_id && !streq(other->owner, e->owner))
            return true;
    }
    return false;
}

/* --- what it is told ------------------------------------------------------------------------------------------ */

static void device_changed(void *arg, const char *name)
{
    struct controller *c = arg;
    queue_add(c->queue, name);
}

static void all_devices(struct controller *c, bool look)
{
    struct cached **list;
    size_t n = informer_all(c->devices, &list);

    for (size_t i = 0; i < n; i++) {
        const char *name = json_str_at(list[i]->object, "metadata.name");
        if (look) {
            LOCK_SCOPE(&c->lock);
            struct environment *e = map_get(c->environments, str_from(name));
            if (e)
                e->look = true;
        }
        queue_add(c->queue, name);
        cached_unref(list[i]);
    }
    free(list);
}

/* The server may be another one, which was told of no endpoint yet. */
static void server_connected(void *arg)
{
    struct controller *c = arg;

    {
        LOCK_SCOPE(&c->lock);
        c->epoch++;
    }
    all_devices(c, false);
}

static void server_lost(void *arg, const char *message)
{
}

static void sandbox_changed(void *arg, const char *name)
{
    struct controller *c = arg;
    all_devices(c, false);
}

static void sandboxes_connected(void *arg)
{
}

static void container_changed(void *arg, const char *device)
{
    struct controller *c = arg;

    {
        LOCK_SCOPE(&c->lock);
        struct environment *e = map_get(c->environments, str_from(device));
        if (e == NULL)
            return;
        e->look = true;
    }
    queue_add(c->queue, device);
}

static void pulse_changed(void *arg, const char *device)
{
    container_changed(arg, device);
}

static void engine_available(void *arg, bool up, const char *message)
{
    struct controller *c = arg;

    {
        LOCK_SCOPE(&c->lock);
        c->engine_up = up;
        free(c->engine_message);
        c->engine_message = copy(message);
        if (up)
            c->next_sweep_us = 0;
    }
    all_devices(c, up);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void *work(void *arg)
{
    struct controller *c = arg;
    const char *name;

    while ((name = queue_take(c->queue))) {
        reconcile(c, name);
        queue_done(c->queue, name);
    }
    return NULL;
}

static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

struct controller *controller_start(const struct controller_options *options)
{
    struct controller *c = xcalloc(1, sizeof(*c));

    c->o = *options;
    c->queue = queue_new();
    c->turns =
        turns_new(limits.starts_at_once ? limits.starts_at_once : processors() + 1, limits.turn_seconds, c->queue);
    c->environments = map_new();
    c->kept = map_new();
    c->lost = map_new();
    c->pulses = pulses_new(&(struct pulses_options){client_stop_fd(c->o.client), pulse_changed, c});
    pthread_mutex_init(&c->lock, NULL);
    /* Both are known before either begins to call. */
    c->devices = informer_new(
        &(struct informer_options){c->o.client, PLURAL_DEVICES, device_changed, server_connected, server_lost, c});
    c->sandboxes = informer_new(&(struct informer_options){c->o.client, PLURAL_SANDBOXES, sandbox_changed,
                                                           sandboxes_connected, server_lost, c});
    informer_start(c->sandboxes);
    informer_start(c->devices);
    c->o.runtime->ops->start(c->o.runtime, &(struct runtime_listener){container_changed, engine_available, c});
    for (size_t i = 0; i < WORKERS; i++)
        c->workers[i] = thread_start("environment", work, c);
    pulses_start(c->pulses);
    return c;
}

void controller_tick(struct controller *c)
{
    int64_t now = clock_monotonic_us();

    {
        LOCK_SCOPE(&c->lock);
        if (!c->engine_up || now < c->next_sweep_us)
            return;
    }
    if (!informer_synced(c->devices))
        return;
    {
        LOCK_SCOPE(&c->lock);
        c->next_sweep_us = now + INT64_C(1000000) * limits.check_seconds;
    }
    sweep(c);
    all_devices(c, true);
}

void controller_stop(struct controller *c)
{
    queue_shut(c->queue);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(c->workers[i], NULL);
    pulses_free(c->pulses);
    informer_free(c->sandboxes);
    informer_free(c->devices);
    /* Last: its thread calls us. */
    c->o.runtime->ops->free(c->o.runtime);
    turns_free(c->turns);
    queue_free(c->queue);
    map_free(c->environments, environment_free);
    map_free(c->kept, NULL);
    map_free(c->lost, NULL);
    pthread_mutex_destroy(&c->lock);
    free(c->engine_message);
    free(c);
}

int environment_remove(struct runtime *r, const char *environments, const char *uid, unsigned grace_seconds,
                       struct error **err)
{
    char place[PLACE_NAME_SIZE];

    place_name(place, uid);
    if (r->ops->remove(r, uid, grace_seconds, err) < 0)
        return -1;
    return place_remove(environments, place, err);
}
