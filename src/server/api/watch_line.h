#pragma once

#include "server/store/store.h"

/* What a watch is sending: {"type":"ADDED","object": … } and a line feed. */
struct watch_line {
    const char *prefix; /* NULL: nothing */
    struct str body;
    struct object *object; /* whose bytes the body is, or NULL */
    char *text;            /* or the body itself */
    size_t sent;
};
void watch_line_clear(struct watch_line *l);
/* Takes the text. */
void watch_line_set_text(struct watch_line *l, const char *prefix, char *text, size_t n);
/* Copies what fits; clears the line once all of it is sent. */
size_t watch_line_copy(struct watch_line *l, char *out, size_t max);
