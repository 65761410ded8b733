#include "runner/environment/environment.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "base/thread.h"
#include "runner/environment/lines.h"

/* --- The table --- */

static void environment_free(void *p)
{
    struct environment *e = p;

    if (e == NULL)
        return;
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->name);
    free(e->uid);
    free(e->instance);
    free(e->owner);
    free(e->sandbox);
    free(e->reason);
    free(e->message);
    free(e->log);
    free(e->safe_reason);
    free(e->safe_message);
    free(e->token);
    free(e->gpus);
    runtime_free_endpoints(e->endpoints, e->endpoints_len);
    free(e->readiness_path);
    free(e->kept_apart);
    free(e);
}

void environments_init(struct environments *es)
{
    es->table = map_new();
    es->kept = map_new();
    es->lost = map_new();
    pthread_mutex_init(&es->lock, NULL);
}

void environments_clear(struct environments *es)
{
    map_free(es->table, environment_free);
    map_free(es->kept, NULL);
    map_free(es->lost, NULL);
    pthread_mutex_destroy(&es->lock);
    free(es->engine_message);
}

struct environment *environment_find(struct environments *es, const char *name)
{
    LOCK_SCOPE(&es->lock);
    return map_get(es->table, str_from(name));
}

/* One of its own, found again by the next runner. */
char *environment_instance(const char *device_uid)
{
    return xstrdup(device_uid);
}

struct environment *environment_make(struct environments *es, const struct device *d)
{
    struct environment *e = xcalloc(1, sizeof(*e));

    e->name = xstrdup(d->name);
    e->uid = xstrdup(d->uid);
    e->instance = environment_instance(d->uid);
    e->owner = xstrdup_or_null(d->owner);
    e->sandbox = xstrdup_or_null(d->sandbox);
    e->owner_id = d->host_id;
    e->phase = d->phase;
    e->reason = xstrdup_or_null(d->reason);
    e->message = xstrdup_or_null(d->message);
    e->seen_us = e->phase_since_us = clock_monotonic_us();
    e->deadline_us = INT64_MAX;
    e->look = true;
    for (size_t i = 0; i < TIMINGS; i++)
        e->timings[i] = -1;
    LOCK_SCOPE(&es->lock);
    environment_free(map_set(es->table, str_from(e->name), e));
    return e;
}

void environment_forget(struct environments *es, struct environment *e)
{
    {
        LOCK_SCOPE(&es->lock);
        map_remove(es->table, str_from(e->name));
    }
    environment_free(e);
}

bool owner_id_in_use(struct environments *es, const struct environment *e, uint32_t owner_id)
{
    LOCK_SCOPE(&es->lock);
    struct str name;
    void *v;

    for (size_t at = 0; map_next(es->table, &at, &name, &v);) {
        const struct environment *other = v;
        if (other != e && other->owner_id == owner_id && !streq(other->owner, e->owner))
            return true;
    }
    return false;
}

static bool same_endpoints(const struct environment *e, const struct instance *i)
{
    if (e->endpoints_len != i->endpoints_len)
        return false;
    for (size_t k = 0; k < e->endpoints_len; k++)
        if (!streq(e->endpoints[k].name, i->endpoints[k].name) ||
            !streq(e->endpoints[k].address, i->endpoints[k].address))
            return false;
    return true;
}

void environment_take_endpoints(struct environment *e, struct instance *i)
{
    if (i->endpoints_len == 0 || same_endpoints(e, i))
        return;
    runtime_free_endpoints(e->endpoints, e->endpoints_len);
    e->endpoints = steal_ptr(i->endpoints);
    e->endpoints_len = i->endpoints_len;
    i->endpoints_len = 0;
    e->told_epoch = 0;
}

const char *environment_address(const struct environment *e)
{
    return e->endpoints_len ? e->endpoints[0].address : NULL;
}

bool environment_ask_look(struct environments *es, const char *name)
{
    LOCK_SCOPE(&es->lock);
    struct environment *e = map_get(es->table, str_from(name));

    if (e)
        e->look = true;
    return e != NULL;
}

bool environment_take_look(struct environments *es, struct environment *e)
{
    LOCK_SCOPE(&es->lock);
    bool look = e->look;
    e->look = false;
    return look;
}

/* --- What they are worked on with --- */

void environments_note_engine(struct environments *es, bool up, const char *message)
{
    LOCK_SCOPE(&es->lock);
    es->engine_up = up;
    free(es->engine_message);
    es->engine_message = xstrdup_or_null(message);
    if (up)
        es->next_sweep_us = 0;
}

bool engine_is_up(struct environments *es, char **message)
{
    LOCK_SCOPE(&es->lock);
    if (!es->engine_up && message)
        *message = xstrdup(es->engine_message ? es->engine_message : "still looking for a container engine");
    return es->engine_up;
}

void environments_note_server(struct environments *es)
{
    LOCK_SCOPE(&es->lock);
    es->epoch++;
}

uint64_t server_epoch(struct environments *es)
{
    LOCK_SCOPE(&es->lock);
    return es->epoch;
}

bool environments_take_sweep(struct environments *es, int64_t now_us)
{
    LOCK_SCOPE(&es->lock);
    if (!es->engine_up || now_us < es->next_sweep_us)
        return false;
    es->next_sweep_us = now_us + INT64_C(1000000) * limits.check_seconds;
    return true;
}

void environments_sweep_soon(struct environments *es)
{
    LOCK_SCOPE(&es->lock);
    es->next_sweep_us = 0;
}

bool environments_stopping(const struct environments *es)
{
    return stop_said(client_stop_fd(es->client));
}

unsigned environment_retry(struct environments *es, struct environment *e)
{
    unsigned ms = limits.retry_first_ms << (e->failures > 7 ? 7 : e->failures);

    if (ms > limits.retry_longest_ms)
        ms = limits.retry_longest_ms;
    e->failures++;
    queue_add_after(es->queue, e->name, ms);
    return ms;
}

/* --- Where it is at --- */

void environment_set(struct environment *e, enum phase phase, const char *reason, const char *fmt, ...)
{
    char message[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    message[text_clean(message, strlen(message), "")] = '\0';
    if (e->phase == phase && streq(e->reason, reason) && streq(e->message, message))
        return;
    e->phase = phase;
    free(e->reason);
    free(e->message);
    e->reason = xstrdup(reason);
    e->message = xstrdup(message);
    e->dirty = true;
}

void environment_enter(struct environment *e, enum phase phase, unsigned seconds)
{
    int64_t now = clock_monotonic_us();

    e->phase = phase;
    e->phase_since_us = now;
    e->deadline_us = seconds ? now + (int64_t)seconds * 1000000 : INT64_MAX;
    e->dirty = true;
}

bool environment_late(const struct environment *e)
{
    return clock_monotonic_us() > e->deadline_us;
}

void environment_note_waiting(struct environment *e, yyjson_val *object)
{
    const char *created = json_str_at(object, "metadata.creationTimestamp");
    int64_t at;

    if (e->timings[TIMING_QUEUED] >= 0 || e->phase != PHASE_QUEUED)
        return;
    /* The API's times are whole seconds: what waited shortly was seen to come. */
    e->timings[TIMING_QUEUED] = clock_seconds_since(e->seen_us);
    if (created && timestamp_parse(str_from(created), &at) == 0 && clock_realtime_us() - at > 2000000)
        e->timings[TIMING_QUEUED] = (double)(clock_realtime_us() - at) / 1e6;
}

/* --- Its last words --- */

static int collect_end(void *arg, struct str text)
{
    struct buffer *b = arg;

    /* The end is what counts: the first half goes when it is full. */
    if (b->n + text.n > b->max) {
        size_t keep = b->n / 2;
        memmove(b->p, b->p + b->n - keep, keep);
        b->n = keep;
    }
    buffer_append(b, text.p, text.n > b->max / 2 ? b->max / 2 : text.n);
    return 0;
}

int environment_read_end(struct environments *es, struct environment *e, unsigned lines, struct buffer *text)
{
    struct runtime_log_options o = {.tail = lines, .stop_fd = -1};

    return es->runtime->ops->logs(es->runtime, e->instance, &o, collect_end, text, NULL);
}

char *environment_log(struct environments *es, struct environment *e)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);

    if (environment_read_end(es, e, LOG_LINES, &text) < 0)
        return NULL;
    return last_lines(&text, e->token);
}

/* --- Its end --- */

void environment_clear_away(struct environments *es, struct environment *e)
{
    _cleanup_error_ struct error *err = NULL;

    e->met = false;
    e->container = CONTAINER_ABSENT;
    if (es->runtime->ops->remove(es->runtime, e->instance, limits.stop_grace_seconds, &err) == 0) {
        pulses_drop(es->pulses, e->name, true);
        activities_drop(es->activities, e->name);
        return;
    }
    e->container = CONTAINER_UNKNOWN; /* tried again, see step() */
    if (environments_stopping(es))
        return;
    log_warning("%s: %s", e->name, err->message);
    environment_retry(es, e);
}
