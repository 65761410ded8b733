#pragma once

#include "base/arena.h"
#include "base/error.h"

/*
 * Which images sandboxes of this installation have named once: the file DATA/images, a line «ID REFERENCE» for each. What
 * is not in it is another's, and no pruning touches it.
 */
struct named_image {
    const char *id, *reference;
};

char *named_file(struct arena *a, const char *data);
/* In the arena; an empty list where there is no such file. What is no such line is left out. */
int named_read(struct arena *a, const char *file, struct named_image **out, size_t *n, struct error **err) _must_check_;
/* Adds one that is not there yet. One process at a time writes. */
int named_add(const char *file, const char *id, const char *reference, struct error **err) _must_check_;
int named_write(const char *file, const struct named_image *list, size_t n, struct error **err) _must_check_;
