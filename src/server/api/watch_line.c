#include "server/api/watch_line.h"

#include <stdlib.h>

#define LINE_END "}\n"

void watch_line_clear(struct watch_line *l)
{
    object_unref(l->object);
    free(l->text);
    *l = (struct watch_line){0};
}

void watch_line_set_text(struct watch_line *l, const char *prefix, char *text, size_t n)
{
    *l = (struct watch_line){.prefix = prefix, .text = text, .body = {text, n}};
}

static size_t copy_piece(struct str piece, size_t *skip, char *out, size_t max)
{
    if (*skip >= piece.n) {
        *skip -= piece.n;
        return 0;
    }
    size_t n = piece.n - *skip;
    if (n > max)
        n = max;
    memcpy(out, piece.p + *skip, n);
    *skip = 0;
    return n;
}

size_t watch_line_copy(struct watch_line *l, char *out, size_t max)
{
    struct str pieces[] = {str_from(l->prefix), l->body, STR(LINE_END)};
    size_t skip = l->sent, n = 0, total = 0;

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        n += copy_piece(pieces[i], &skip, out + n, max - n);
        total += pieces[i].n;
    }
    l->sent += n;
    if (l->sent == total)
        watch_line_clear(l);
    return n;
}
