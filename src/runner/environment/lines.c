#include "runner/environment/lines.h"

#include <string.h>

#include "runner/environment/limits.h"

/* Length of the UTF-8 character at p (RFC 3629, overlong forms aside), 0: none. */
static size_t character(const unsigned char *p, size_t n)
{
    size_t want = p[0] < 0x80                   ? 1
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                  : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                  : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                : 0;

    if (want == 0 || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return want;
}

static void add_clean_line(struct buffer *out, struct str line)
{
    size_t taken = 0;

    if (out->n)
        buffer_append(out, "\n", 1);
    for (size_t i = 0, n; i < line.n && taken < LOG_LINE_BYTES; i += n) {
        n = character((const unsigned char *)line.p + i, line.n - i);
        bool plain = n > 1 || (n == 1 && ((unsigned char)line.p[i] >= 0x20 || line.p[i] == '\t') && line.p[i] != 0x7f);
        if (n == 0)
            n = 1;
        buffer_append(out, plain ? line.p + i : "?", plain ? n : 1);
        taken += n;
    }
}

/* An image may print its token; a status is read by more people than may enter. */
static void hide(struct buffer *b, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;
    char *at;

    while (n && b->p && (at = memmem(b->p, b->n, secret, n)))
        memset(at, '*', n);
}

char *last_lines(struct buffer *text, const char *secret)
{
    struct str lines[LOG_LINES], rest, line;
    size_t n = 0;
    struct buffer out = BUFFER_MAX((LOG_LINE_BYTES + 8) * LOG_LINES);

    hide(text, secret);
    rest = str_trim(buffer_str(text));
    while (str_split(&rest, '\n', &line))
        lines[n++ % LOG_LINES] = line;
    for (size_t i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
        add_clean_line(&out, lines[i % LOG_LINES]);
    return out.n ? buffer_steal(&out) : NULL;
}
