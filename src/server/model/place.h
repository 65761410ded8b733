#pragma once

#include "base/buffer.h"

/* Where in an object something is: a chain of frames on the stack, written out only when there is something to say. */
struct place {
    const struct place *up; /* NULL: the object itself */
    struct str key;         /* p == NULL: an element of a list */
    size_t index;
};
#define PLACE_MAX 1024 /* bytes of a written path; longer keys are left out */

static inline struct place place_key(const struct place *up, struct str key)
{
    return (struct place){.up = up, .key = key};
}
static inline struct place place_index(const struct place *up, size_t index)
{
    return (struct place){.up = up, .index = index};
}
/* "spec.volumes[0].name"; the caller frees the buffer. */
void place_write(struct buffer *b, const struct place *p);
