#pragma once

#include "server/api/api.h"

/* The kinds that are served: every definition of the room `kinds`, each with the hooks that hooks/ has for it, or none. */
struct served {
    const struct kind **kinds;
    struct api_resource *resources;
    size_t n;
};
int served_load(struct served *s, struct error **err) _must_check_;
void served_free(struct served *s);
/* Those that have less of the log of events than there is room for; the caller frees. */
struct store_log_limit *served_log_limits(const struct served *s, size_t *n);
/* NULL: nothing of that name is served. */
const struct kind *served_find(const struct served *s, const char *plural);
