#pragma once

#include "server/api/api.h"

struct shipped_source {
    const char *name;
    struct str yaml;
};
extern const struct shipped_source shipped_sources[];
extern const size_t shipped_sources_len;

/* Creates the objects that come with the product, each once in the life of a data directory: one that an administrator
 * deleted stays deleted. */
int shipped_create(struct api *api, struct store *store, const struct kind *const *kinds, size_t kinds_len,
                   struct error **err) _must_check_;
