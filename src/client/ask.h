#pragma once

#include <stddef.h>

#include "base/buffer.h"

/* Whether somebody answers, and what, asked at many addresses at once: one GET each. Each on a connection of its own,
 * so that a request that lasts holds none up. */
enum ask_outcome {
    ASK_STOPPED,  /* not found out */
    ASK_ANSWERED, /* `status` says what */
    ASK_CLOSED,   /* nobody listens: no such socket, one whose listener has gone, a refused connection */
    ASK_SILENT,   /* somebody listens, and gives no answer in time */
};

struct question {
    const char *address; /* «unix:/path», «http://10.0.0.7:8888» */
    const char *path;
    const char *header; /* one more, «Name: value»; NULL: none */
    /* Gets the answer's body, where one that is longer than its maximum is no answer; NULL: it is not read beyond its
     * status. */
    struct buffer *body;
    enum ask_outcome outcome;
    unsigned status;
};
void transport_ask(struct question *questions, size_t n, unsigned timeout_ms, int stop_fd);

/* The path of a unix socket's address; NULL: it is another. */
const char *address_socket(const char *address);
