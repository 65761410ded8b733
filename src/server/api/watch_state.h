#pragma once

#include "server/store/store.h"

/*
 * The present objects at the start of a watch, part after part, so that a watcher holds few of them at a time. Between
 * the parts the log goes on, and events are passed on for those objects alone that this watcher has been shown: an
 * event on a later name is part of what is listed later.
 */
struct watch_state;
struct watch_state *watch_state_new(void);
void watch_state_free(struct watch_state *s); /* NULL allowed */
/* The next part. The first one sets *position to its revision: the log is read from there on. */
void watch_state_load(struct watch_state *s, struct store *store, const char *collection, uint64_t *position);
struct object *watch_state_next(struct watch_state *s); /* a reference; NULL: this part is at its end */
bool watch_state_is_last(const struct watch_state *s);
/* Whether the event tells something that the parts so far did not. */
bool watch_state_passes(const struct watch_state *s, const struct event *e);
