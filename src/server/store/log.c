#include "server/store/log.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

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

static void drop_oldest(struct event_log *l)
{
    struct log_entry *e = entry(l, ++l->start);
    size_t bytes = entry_bytes(e);

    l->bytes -= bytes;
    l->dropped_bytes += bytes;
    e->track->head = (e->track->head + 1) % e->track->capacity;
    e->track->n--;
    object_unref(e->object);
    object_unref(e->previous);
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
        *t = (struct log_track){larger, 0, t->n, capacity};
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
    *entry(l, l->end) = (struct log_entry){type, (uint32_t)realtime_s, object, previous, track};
    l->bytes += entry_bytes(entry(l, l->end));
    track_append(track, l->end);
}

int64_t log_trim(struct event_log *l, const struct log_limits *limits)
{
    int64_t for_bytes = 0;

    while (l->start < l->end) {
        int64_t time = entry(l, l->start + 1)->realtime_s;
        bool old = log_size(l) > limits->events || time < limits->oldest_s;
        if (!old && l->bytes <= limits->bytes)
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
