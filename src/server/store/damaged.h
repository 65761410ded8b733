#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Rows that hold no object as they should: they stay on the disk, out of everybody's sight, until they are deleted or
 * written over. Guarded like the cache that they belong to. */
struct damaged {
    char *collection, *name, *uid, *why;
};
struct damaged_list {
    struct damaged *items; /* few */
    size_t n;
};

void damaged_free(struct damaged_list *l);
void damaged_add(struct damaged_list *l, const char *collection, const char *name, const char *uid, const char *why);
const struct damaged *damaged_find(const struct damaged_list *l, const char *collection, struct str name);
void damaged_forget(struct damaged_list *l, const char *collection, const char *name);
size_t damaged_count(const struct damaged_list *l, const char *collection); /* NULL: of all */
