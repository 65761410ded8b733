#include "server/api/warning.h"

#include <stdarg.h>
#include <stdio.h>

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
static char *quote(struct arena *a, const char *text, size_t *n)
{
    static const char head[] = "299 - \"";
    char *plain = arena_strdup(a, text);
    size_t plain_n = text_clean(plain, strlen(plain), "");
    char *quoted = arena_alloc(a, sizeof(head) + 2 * plain_n + 1), *to = quoted + sizeof(head) - 1;

    memcpy(quoted, head, sizeof(head) - 1);
    for (size_t i = 0; i < plain_n; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            *to++ = '\\';
        *to++ = plain[i];
    }
    *to++ = '"';
    *n = (size_t)(to - quoted);
    return quoted;
}

static void add_warning(struct request *r, const char *text)
{
    size_t n;
    const char *quoted = quote(r->arena, text, &n);

    if (n > WARNINGS_MAX - r->warnings)
        return;
    r->warnings += n;
    request_add_header(r, "Warning", quoted);
}

void request_add_warnings(struct request *r, const struct admission *a)
{
    for (const struct warning *w = a->warnings; w; w = w->next)
        add_warning(r, w->text);
}
