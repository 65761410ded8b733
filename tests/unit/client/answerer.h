#pragma once

#include <pthread.h>
#include <stdatomic.h>

/* What runs in a container, as far as anybody outside can tell: it listens on a socket and answers by a status, or not
 * at all. */
struct answerer {
    char path[108];
    int listen_fd, stop_fd;
    pthread_t thread;
    atomic_uint status; /* 0: no answer */
    atomic_uint asked;
    int held[64];
    unsigned held_len;
};
void answerer_start(struct answerer *a, const char *path, unsigned status);
/* On what listens already; takes the descriptor. */
void answerer_start_on(struct answerer *a, int listen_fd, unsigned status);
/* Nobody listens any more; the socket stays where it is. */
void answerer_end(struct answerer *a);
