#pragma once

#include <stdlib.h>

#include "base/attributes.h"

/* Memory for a process whose only sane answer to «none left» is to end: these abort instead of returning NULL.
 * Whatever a stranger can make large is limited before it is allocated (struct buffer, request limits). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
/* For arrays: refuses a product that overflows. */
void *xreallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrdup_or_null(const char *s) __attribute__((malloc)); /* NULL: NULL */
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull)) _printf_(1, 2);

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(cleanup_freep)
