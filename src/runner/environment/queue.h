#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A work queue of names. A name that waits is not put in twice; one that comes while it is being worked on is worked on
 * again afterwards, never by two workers at once.
 */
struct queue;
struct queue *queue_new(void);
void queue_free(struct queue *q);
void queue_add(struct queue *q, const char *name);
/* Not before `ms` from now; an earlier time, given before or after, wins. */
void queue_add_after(struct queue *q, const char *name, unsigned ms);
/* Waits for the next name; NULL once the queue is shut. Lives until queue_done. */
const char *queue_take(struct queue *q);
void queue_done(struct queue *q, const char *name);
void queue_shut(struct queue *q);
