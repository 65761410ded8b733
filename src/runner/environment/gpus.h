#pragma once

#include "runner/environment/environment.h"

/* GPUs of an environment: those that the server gave it must be here, well, and held by nobody else; the server's word
 * alone is not enough, as it may have gone back to an older store. */
int environment_choose_gpus(struct environments *es, struct arena *a, const struct device *d, struct runtime_spec *r,
                            const char **reason, struct error **err) _must_check_;

/* What goes wrong with those that its container has; NULL: nothing. The text is in the arena. */
struct gpu_trouble {
    const char *reason, *message;
};
bool environment_gpus_ill(struct environments *es, struct arena *a, const struct environment *e,
                          struct gpu_trouble *out);
/* It holds more of the memory of one that it shares than its units stand for. */
bool environment_gpus_greedy(struct environments *es, struct arena *a, const struct environment *e,
                             struct gpu_trouble *out);
/* Its status.gpus with what is used of each; NULL: it has none. */
yyjson_mut_val *environment_gpus_status(struct environments *es, const struct environment *e, yyjson_val *object,
                                        yyjson_mut_doc *doc);
