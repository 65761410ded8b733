#pragma once

#include "runner/runtime/runtime.h"

int engine_logs(struct runtime *r, const char *instance, const struct runtime_log_options *o,
                int (*write)(void *arg, struct str text), void *arg, struct error **err);

/* The stream format of /containers/…/logs: an 8-byte head (stream, 0, 0, 0, size in big endian) before each piece. */
struct demultiplexer {
    unsigned char head[8];
    size_t head_len, left;
    bool plain; /* a terminal's log: no heads */
};
int demultiplex(struct demultiplexer *d, struct str in, int (*write)(void *arg, struct str text), void *arg);
