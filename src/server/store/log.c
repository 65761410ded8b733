#include "server/store/log.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

/* So many times the limit of events, those that went before their turn included. */
#define GONE_PART 8

void log_init(struct event_log *l, uint64_t revision)
{
    *l = (struct event_log){.capacity = 256, .start = revision, .end = revision};
    l->ring = xcalloc(l->capacity, sizeof(*l->ring));
}

static struct log_entry *entry(const struct event_log *l, uint64_t revision)
{
    return &l->ring[revision & (l->capacity - 1)];
}

static size_t object_bytes(const struct object *o)
{
    return o ? sizeof(*o) + strlen(o->name) + strlen(o->uid) + o->json.n : 0;
}

static size_t entry_bytes(const struct log_entry *e)
{
    return sizeof(*e) + sizeof(uint64_t) + object_bytes(e->object) + object_bytes(e->previous);
}

/* The oldest of its collection. Returns what it kept in memory. */
static size_t release_entry(struct event_log *l, struct log_entry *e)
{
    size_t bytes = entry_bytes(e);

    l->bytes -= bytes;
    l->live--;
    e->track->head = (e->track->head + 1) % e->track->capacity;
    e->track->n--;
    object_unref(steal_ptr(e->object));
    object_unref(steal_ptr(e->previous));
    return bytes;
}

static void drop_oldest(struct event_log *l)
{
    struct log_entry *e = entry(l, ++l->start);

    l->gone_bytes -= e->gone_bytes;
    l->dropped_bytes += e->object ? release_entry(l, e) : e->gone_bytes;
}

void log_free(struct event_log *l)
{
    while (l->start < l->end)
        drop_oldest(l);
    free(l->ring);
}

static void grow(struct event_log *l)
{
    struct event_log larger = *l;

    larger.capacity *= 2;
    larger.ring = xcalloc(larger.capacity, sizeof(*larger.ring));
    for (uint64_t r = l->start + 1; r <= l->end; r++)
        *entry(&larger, r) = *entry(l, r);
    free(l->ring);
    *l = larger;
}

static uint64_t track_at(const struct log_track *t, size_t i)
{
    return t->revisions[(t->head + i) % t->capacity];
}

static void track_append(struct log_track *t, uint64_t revision)
{
    if (t->n == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        uint64_t *larger = xreallocarray(NULL, capacity, sizeof(*larger));
        for (size_t i = 0; i < t->n; i++)
            larger[i] = track_at(t, i);
        free(t->revisions);
        t->revisions = larger;
        t->head = 0;
        t->capacity = capacity;
    }
    assert(t->capacity);
    t->revisions[(t->head + t->n++) % t->capacity] = revision;
}

void log_append(struct event_log *l, struct log_track *track, enum event_type type, struct object *object,
                struct object *previous, int64_t realtime_s)
{
    if (log_size(l) == l->capacity)
        grow(l);
    l->end++;
    *entry(l, l->end) = (struct log_entry){type, (uint32_t)realtime_s, object, previous, track, 0};
    l->live++;
    l->bytes += entry_bytes(entry(l, l->end));
    track_append(track, l->end);
}

static bool is_beyond_own(const struct event_log *l, const struct log_track *t, int64_t now_s)
{
    if (t->n == 0)
        return false;
    return (t->own_events && t->n > t->own_events) ||
           (t->own_seconds && entry(l, track_at(t, 0))->realtime_s < now_s - t->own_seconds);
}

void log_trim_track(struct event_log *l, struct log_track *t, int64_t now_s)
{
    while (is_beyond_own(l, t, now_s)) {
        struct log_entry *e = entry(l, track_at(t, 0));

        t->start = track_at(t, 0);
        e->gone_bytes = release_entry(l, e);
        l->gone_bytes += e->gone_bytes;
    }
}

static bool is_heavy(const struct event_log *l, const struct log_limits *limits)
{
    return l->bytes > limits->bytes || l->gone_bytes > limits->bytes || (log_size(l) - 1) / GONE_PART >= limits->events;
}

int64_t log_trim(struct event_log *l, const struct log_limits *limits)
{
    int64_t for_bytes = 0;

    while (l->start < l->end) {
        int64_t time = entry(l, l->start + 1)->realtime_s;
        bool old = l->live > limits->events || time < limits->oldest_s;
        if (!old && !is_heavy(l, limits))
            break;
        if (!old)
            for_bytes = time;
        drop_oldest(l);
    }
    return for_bytes;
}

const struct object *log_last(const struct event_log *l)
{
    return l->start < l->end ? entry(l, l->end)->object : NULL;
}

static size_t first_after(const struct log_track *t, uint64_t after)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (track_at(t, middle) <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t log_read(const struct event_log *l, const struct log_track *track, uint64_t after, struct event *out, size_t max,
                uint64_t *reached)
{
    size_t n = 0, i = track ? first_after(track, after) : 0, all = track ? track->n : 0;

    for (; i < all && n < max; i++) {
        uint64_t revision = track_at(track, i);
        const struct log_entry *e = entry(l, revision);
        out[n++] =
            (struct event){e->type, revision, object_ref(e->object), e->previous ? object_ref(e->previous) : NULL};
    }
    *reached = i < all && n ? out[n - 1].revision : l->end;
    return n;
}

void event_release(struct event *e)
{
    object_unref(e->object);
    object_unref(e->previous);
    *e = (struct event){0};
}
