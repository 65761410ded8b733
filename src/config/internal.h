#pragma once

#include "base/json.h"
#include "base/map.h"
#include "config/config.h"

bool listen_is_wildcard(const struct listen_address *a);
/* An IPv4 address of an interface that is up and no loopback; the caller frees. NULL: there is none. */
char *first_address_of_this_machine(void);

/* The keys of the configuration file, applied to `c`. `lines` gives each path's line. */
int config_apply_file(struct config *c, yyjson_val *root, const struct map *lines, const char *file, struct error **err)
    _must_check_;

/* Where state and sockets go where nobody says; the caller frees. */
char *state_default(void);
char *runtime_default(void);
/* As root, the service users must be able to go through the folders above the state; where they cannot (a clone in
 * /root), the state goes to the installed place, and the log says so. */
void state_move_if_closed(char **data);
/* The folders that the configuration names (places.c): none that environments get may be ours or the system's. */
int places_check(const struct config *c, struct error **err) _must_check_;

/* The table of keys, for whoever checks that each is bounded as it says. A key without bounds has 0 and 0. */
struct key_bounds {
    const char *path;
    uint64_t min, max;
};
size_t config_numeric_keys(struct key_bounds *out, size_t max);
