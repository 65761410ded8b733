#pragma once

#include <stddef.h>

/* Whether somebody answers, asked of many unix sockets at once: one GET each, whose answer is not read beyond its
 * status. Each on a connection of its own, so that a request that lasts holds none up. */
enum ask_outcome {
    ASK_STOPPED,  /* not found out */
    ASK_ANSWERED, /* `status` says what */
    ASK_CLOSED,   /* nobody listens: no such socket, or one whose listener has gone */
    ASK_SILENT,   /* somebody listens, and gives no answer in time */
};

struct question {
    const char *socket, *path;
    enum ask_outcome outcome;
    unsigned status;
};
void transport_ask(struct question *questions, size_t n, unsigned timeout_ms, int stop_fd);
