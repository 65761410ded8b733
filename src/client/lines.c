#include "client/lines.h"

#include <string.h>

static int hand_over(struct line_reader *r, struct str line)
{
    if (r->part.overflow)
        return r->skip_long ? 0 : -1;
    return line.n && r->line(r->arg, line) < 0 ? -1 : 0;
}

int line_reader_take(void *reader, struct str piece)
{
    struct line_reader *r = reader;
    const char *end;

    while (piece.n && (end = memchr(piece.p, '\n', piece.n))) {
        size_t n = (size_t)(end - piece.p);
        struct str line = {piece.p, n};
        if (r->part.n) {
            buffer_append(&r->part, piece.p, n);
            line = buffer_str(&r->part);
        }
        if (hand_over(r, line) < 0)
            return -1;
        buffer_clear(&r->part);
        piece = (struct str){end + 1, piece.n - n - 1};
    }
    buffer_append(&r->part, piece.p, piece.n);
    return r->part.overflow && !r->skip_long ? -1 : 0;
}
