#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

static bool reserve(struct buffer *b, size_t more)
{
    if (b->overflow || more > b->max - b->n) {
        b->overflow = true;
        return false;
    }
    size_t need = b->n + more + 1;
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < need)
            capacity *= 2;
        b->p = xrealloc(b->p, capacity);
        b->capacity = capacity;
    }
    return true;
}

void buffer_reserve(struct buffer *b, size_t more)
{
    if (b->overflow || more > b->max - b->n || b->capacity - b->n > more)
        return;
    b->capacity = b->n + more + 1;
    b->p = xrealloc(b->p, b->capacity);
    b->p[b->n] = '\0';
}

void buffer_append(struct buffer *b, const void *p, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buffer_add(struct buffer *b, struct str s)
{
    buffer_append(b, s.p, s.n);
}

void buffer_puts(struct buffer *b, const char *s)
{
    buffer_append(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list args, again;

    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

static void json_escape(struct buffer *b, unsigned char c)
{
    static const char shorts[] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c < sizeof(shorts) && shorts[c])
        buffer_printf(b, "\\%c", shorts[c]);
    else
        buffer_printf(b, "\\u%04x", c);
}

void buffer_json_string(struct buffer *b, struct str s)
{
    buffer_append(b, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buffer_append(b, s.p + from, i - from);
        json_escape(b, c);
        from = i + 1;
    }
    if (from < s.n) /* an empty one may have no address to add to */
        buffer_append(b, s.p + from, s.n - from);
    buffer_append(b, "\"", 1);
}

void buffer_clear(struct buffer *b)
{
    b->n = 0;
    b->overflow = false;
    if (b->p)
        b->p[0] = '\0';
}

void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){.max = b->max};
}

char *buffer_steal(struct buffer *b)
{
    char *p = b->p ? b->p : xstrdup("");
    *b = (struct buffer){.max = b->max};
    return p;
}
