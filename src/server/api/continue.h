#pragma once

#include <stdint.h>

#include "base/error.h"

/* Where a list in pages goes on: after which name, and the revision of its first page, for which the whole list stands.
 */
char *continue_encode(uint64_t revision, const char *after); /* opaque; the caller frees */
int continue_decode(const char *token, uint64_t *revision, char **after, struct error **err)
    _must_check_; /* `after`: likewise */
