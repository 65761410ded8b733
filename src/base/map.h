#pragma once

#include <stddef.h>

#include "base/str.h"

/* Hash map from byte strings to pointers. Keys are copied, values are the caller's. Not thread-safe.
 * Hashed with a key of its own (SipHash), so that nobody outside can choose colliding names. */
struct map;

struct map *map_new(void);
void map_free(struct map *m, void (*free_value)(void *));
void *map_get(const struct map *m, struct str key);        /* NULL where absent */
void *map_set(struct map *m, struct str key, void *value); /* returns the value it replaced, or NULL */
void *map_remove(struct map *m, struct str key);           /* returns the value, or NULL */
size_t map_size(const struct map *m);
/* Iteration in no order; the map must not change meanwhile: for (size_t i = 0; map_next(m, &i, &key, &value);) */
bool map_next(const struct map *m, size_t *at, struct str *key, void **value);
