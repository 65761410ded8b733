#include "runner/environment/lines.h"

#include <string.h>

#include "base/text.h"
#include "runner/environment/limits.h"

static void add_clean_line(struct buffer *out, struct str line)
{
    char text[LOG_LINE_BYTES];
    size_t n = line.n < sizeof(text) ? line.n : sizeof(text);

    /* A character that the limit cuts through goes as a whole. */
    while (n < line.n && n && ((unsigned char)line.p[n] & 0xc0) == 0x80)
        n--;
    memcpy(text, line.p, n);
    if (out->n)
        buffer_append(out, "\n", 1);
    buffer_append(out, text, text_clean(text, n, "\t"));
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
    _cleanup_buffer_ struct buffer out = BUFFER_MAX((LOG_LINE_BYTES + 8) * LOG_LINES);

    hide(text, secret);
    rest = str_trim(buffer_str(text));
    while (str_split(&rest, '\n', &line))
        lines[n++ % LOG_LINES] = line;
    for (size_t i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
        add_clean_line(&out, lines[i % LOG_LINES]);
    return out.n ? buffer_steal(&out) : NULL;
}
