#pragma once

#include "runner/environment/environment.h"

/*
 * A device that no list holds was deleted, or it was not: one that was set aside as damaged, of which the server cannot
 * say anything, or which a store that went back does not know yet, ends nothing. That is said once, and asked again
 * later.
 */
bool device_is_gone(struct environments *es, const char *name, const char *uid);
/* A device went that nothing is known of: what was left alone is looked at with the next tick. */
void kept_may_be_gone(struct environments *es);

/* The store went back to before it knew that device. */
bool is_lost_uid(struct environments *es, const char *uid);
void set_lost_uid(struct environments *es, const char *uid, bool lost);
bool environment_is_lost(struct environments *es, const struct environment *e);
/* The same of a container that nothing else is known of, with the store at that revision. */
bool instance_is_lost(struct environments *es, const struct instance *i, uint64_t at);
