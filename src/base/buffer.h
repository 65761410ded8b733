#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/str.h"

/* A growing byte buffer with a mandatory limit. Past the limit it keeps what it has and remembers `overflow`: check it
 * once at the end instead of at every append. */
struct buffer {
    char *p; /* NUL-terminated when not NULL */
    size_t n, capacity, max;
    bool overflow;
};

#define BUFFER_MAX(limit) ((struct buffer){.max = (limit)})

/* Room for as many more bytes, where that is known: growing by doubling copies as it goes. */
void buffer_reserve(struct buffer *b, size_t more);
void buffer_append(struct buffer *b, const void *p, size_t n);
void buffer_add(struct buffer *b, struct str s);
void buffer_puts(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *fmt, ...) _printf_(2, 3);
/* s as a JSON string, quotes included. */
void buffer_json_string(struct buffer *b, struct str s);
void buffer_clear(struct buffer *b); /* keeps the memory */
void buffer_free(struct buffer *b);
/* Takes the bytes out (never NULL, NUL-terminated); the caller frees. */
char *buffer_steal(struct buffer *b);

static inline struct str buffer_str(const struct buffer *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}
#define _cleanup_buffer_ _cleanup_(buffer_free)
