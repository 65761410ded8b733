#pragma once

#include "server/store/object.h"

/*
 * The events in memory: what watches resume from. Revisions are dense (each event takes the next one), so that the ring
 * is indexed by revision; each collection keeps the revisions that are its own, for the search. Guarded by the store's
 * read-write lock.
 */
struct log_track { /* one collection's revisions, oldest first */
    uint64_t *revisions;
    size_t head, n, capacity;
    size_t own_events;    /* no more of them are kept, 0: as many as there is room for … */
    unsigned own_seconds; /* … and none that is older, 0: as old as the others' may be */
    uint64_t start;       /* the last of them that went by these, before its turn */
};

struct log_entry {
    enum event_type type;
    uint32_t realtime_s;
    struct object *object, *previous; /* object NULL: it went before its turn, and … */
    struct log_track *track;
    size_t gone_bytes; /* … had as many; its row is still on the disk */
};

struct event_log {
    struct log_entry *ring;
    size_t capacity;        /* a power of two */
    uint64_t start;         /* the last revision that is no longer there */
    uint64_t end;           /* the newest */
    size_t live;            /* events that can be read */
    size_t bytes;           /* of what they keep in memory, at most: what several of them share counts for each */
    size_t gone_bytes;      /* of those that went before their turn */
    uint64_t dropped_bytes; /* of all that were ever dropped */
};

struct log_limits {
    size_t events, bytes;
    int64_t oldest_s; /* events from before go */
};

/* An empty log after that revision. */
void log_init(struct event_log *l, uint64_t revision);
void log_free(struct event_log *l);
/* Takes both references. Its revision is end + 1. */
void log_append(struct event_log *l, struct log_track *track, enum event_type type, struct object *object,
                struct object *previous, int64_t realtime_s);
/* Drops a collection's oldest events until its own limits hold. `now_s`: wall clock. */
void log_trim_track(struct event_log *l, struct log_track *t, int64_t now_s);
/* Drops the oldest events until the limits hold. What went before its turn is no event any more, but as much of it as of
 * the others is borne at most: it waits on the disk until all before it have gone. Returns the time of the last that
 * went for its bytes alone, 0: none. */
int64_t log_trim(struct event_log *l, const struct log_limits *limits);
/* As store_events, without its errors: `after` lies in start … end. */
size_t log_read(const struct event_log *l, const struct log_track *track, uint64_t after, struct event *out, size_t max,
                uint64_t *reached);
/* Of the newest event; NULL: there is none. */
const struct object *log_last(const struct event_log *l);
static inline size_t log_size(const struct event_log *l)
{
    return (size_t)(l->end - l->start);
}
