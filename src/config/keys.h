#pragma once

#include "base/json.h"
#include "base/map.h"
#include "config/config.h"

/* The keys of the configuration file, applied to `c`. `lines` gives each path's line. */
int config_apply_file(struct config *c, yyjson_val *root, const struct map *lines, const char *file, struct error **err)
    _must_check_;

/* The table of keys, for whoever checks that each is bounded as it says. A key without bounds has 0 and 0. */
struct key_bounds {
    const char *path;
    uint64_t min, max;
};
size_t config_numeric_keys(struct key_bounds *out, size_t max);
