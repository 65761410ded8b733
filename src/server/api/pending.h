#pragma once

#include <pthread.h>
#include <stddef.h>

/* Requests that are handed on to workers or to the store's writer, and not answered yet: none of these takes notice of a
 * server that stops. */
struct pending {
    pthread_mutex_t lock;
    pthread_cond_t none;
    size_t n;
};
void pending_init(struct pending *p);
void pending_destroy(struct pending *p);
void pending_begin(struct pending *p);
void pending_end(struct pending *p);
void pending_wait(struct pending *p); /* until there are none */
