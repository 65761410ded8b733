#pragma once

#include "runner/environment/activity.h"
#include "runner/environment/environment.h"

/* What its activity leads to: an environment that nobody uses is deleted, as its owner would do it; so port and GPUs
 * come back, and starting again is what it always is. Why it was ended, the server keeps (hooks/device_idle.h). */

/* It runs: it is looked at, by the rules of its device, its sandbox and the configuration, in this order. */
void environment_watch_use(struct environments *es, struct environment *e, const struct device *d);
/* Where nobody uses it, and its status says so already: asks for its deletion, unless it was changed since. */
void environment_end_unused(struct environments *es, struct environment *e, yyjson_val *object);

/* A condition of its activity, by its place in the list; false: nothing is to be said of that. Texts are in the
 * arena. */
#define USE_CONDITIONS 3
struct use_condition {
    const char *type, *reason, *message;
    bool holds;
    bool sparse; /* where it does not hold, it is said of those alone of which it was said that it does */
};
bool environment_use_condition(const struct activity *act, struct arena *a, size_t i, struct use_condition *out);
/* status.lastActivity and status.usage. */
void environment_fill_use(const struct activity *act, yyjson_mut_doc *doc, yyjson_mut_val *status);
