#include "server/api/warning.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"

/* Headers of an answer are kept in memory of the connection's own. */
#define WARNINGS_MAX ((size_t)4096)
#define WARNING_MAX 2048

void admission_warn(struct admission *a, const char *fmt, ...)
{
    struct warning *w = arena_alloc(a->arena, sizeof(*w)), **end = &a->warnings;
    char text[WARNING_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    w->text = arena_strdup(a->arena, text);
    while (*end)
        end = &(*end)->next;
    *end = w;
}

/* quoted-string of RFC 9110 §5.6.4; control characters would end the header, or steer the terminal that shows it. */
static void add_quoted(struct buffer *b, const char *text)
{
    _cleanup_free_ char *plain = xstrdup(text);
    size_t n = text_clean(plain, strlen(plain), "");

    buffer_puts(b, "299 - \"");
    for (size_t i = 0; i < n; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            buffer_append(b, "\\", 1);
        buffer_append(b, plain + i, 1);
    }
    buffer_puts(b, "\"");
}

static void add_warning(struct request *r, const char *text)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(WARNINGS_MAX);

    add_quoted(&b, text);
    if (b.overflow || b.n > WARNINGS_MAX - r->warnings)
        return;
    r->warnings += b.n;
    request_add_header(r, "Warning", b.p);
}

void request_add_warnings(struct request *r, const struct admission *a)
{
    for (const struct warning *w = a->warnings; w; w = w->next)
        add_warning(r, w->text);
}
