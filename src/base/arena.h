#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/str.h"

/* Memory that lives as long as one request (or one reconcile): allocated piecemeal, freed at once. Not thread-safe. */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull, alloc_size(2))); /* zeroed */
char *arena_strndup(struct arena *a, const char *s, size_t n) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_strdup_or_null(struct arena *a, const char *s); /* NULL: NULL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((returns_nonnull)) _printf_(2, 3);
/* Calls fn(p) when the arena is freed, last registered first: for what the arena must free but did not allocate. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);

static inline struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_strndup(a, s.p ? s.p : "", s.n), s.n};
}

static inline void cleanup_arenap(struct arena **a)
{
    arena_free(*a);
}
#define _cleanup_arena_ _cleanup_(cleanup_arenap)
