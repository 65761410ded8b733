#pragma once

#include <stdint.h>

#include "base/error.h"

#define WATCH_SECONDS 1800 /* where timeoutSeconds says nothing: so long to twice as long */
#define WATCH_LONGEST_SECONDS                                                                                          \
    3600 /* more is taken as that: no right outlives its end by a watch of days, and whoever                           \
            comes back begins again with little to be told */
#define WATCH_BOOKMARK_SECONDS 60

/* How long a watch lasts. `asked`: timeoutSeconds as it was sent, or NULL; what is no number is a BadRequest.
 * `configured`: instead of WATCH_SECONDS; 0: none. `random`: any number. */
int watch_duration(const char *asked, unsigned configured, uint32_t random, int64_t *us, struct error **err)
    _must_check_;
