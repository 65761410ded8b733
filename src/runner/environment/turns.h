#pragma once

#include <stdbool.h>

#include "runner/environment/queue.h"

/*
 * Whose turn it is to be started. What starts takes a processor, so that sixty at once would all be ready at the end of
 * it, and the first no sooner than the last: a few at a time, in the order in which they came. A start that takes long
 * holds the others up no longer. Thread-safe.
 */
struct turns;
/* `queue` gets the names whose turn has come. */
struct turns *turns_new(unsigned at_once, unsigned turn_seconds, struct queue *queue);
void turns_free(struct turns *t);
/* True: it may start, now or still. False: `before` others come first, those that are being started included; to be
 * asked again within TURNS_ASK_MS, or it loses its place. */
bool turns_take(struct turns *t, const char *name, unsigned *before);
/* It has been started, or is not to be any more. */
void turns_leave(struct turns *t, const char *name);

#define TURNS_ASK_MS 1000
