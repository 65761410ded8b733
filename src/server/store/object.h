#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/str.h"

/* What is kept of an object, and what is told of a change; immutable, shared by reference. */
struct object {
    atomic_uint references;
    uint64_t revision; /* of the last write; the same as metadata.resourceVersion in json */
    const char *name, *uid;
    struct str json;
};
struct object *object_ref(struct object *o);
void object_unref(struct object *o); /* NULL allowed */
static inline void cleanup_objectp(struct object **o)
{
    object_unref(*o);
}
#define _cleanup_object_ _cleanup_(cleanup_objectp)

/* One allocation: the structure, then JSON, name and uid (each NUL-terminated). */
struct object *object_new(uint64_t revision, struct str name, struct str uid, struct str json);

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };
struct event {
    enum event_type type;
    uint64_t revision;
    struct object *object;   /* DELETED: its final state, with the revision of the deletion */
    struct object *previous; /* before this event; NULL for ADDED and where the log was read back from disk */
};
void event_release(struct event *e);
