#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct store;
struct store_request;

/* What one transaction will hold: what several functions stage, each on top of those before it. */
struct group;
struct group *group_new(struct store *s);
void group_free(struct group *g);
/* Runs the function on top of what is staged; keeps what it stages, unless it fails or abandons it. */
void group_run(struct group *g, struct store_request *r);
bool group_is_empty(const struct group *g);
size_t group_bytes(const struct group *g); /* of the objects staged so far */
int group_commit(struct group *g, struct error **err) _must_check_;
/* Makes the committed group visible, then calls what was to be called after it. */
void group_publish(struct group *g);
