#pragma once

#include "base/buffer.h"

/* Lines out of a stream that comes in pieces; empty ones are left out. */
struct line_reader {
    struct buffer part;                      /* BUFFER_MAX of the longest line */
    bool skip_long;                          /* what is longer is left out, or else ends the stream */
    int (*line)(void *arg, struct str line); /* negative ends the stream */
    void *arg;
};
/* As `receive` of a call (transport.h); `reader` is the struct line_reader. */
int line_reader_take(void *reader, struct str piece);
