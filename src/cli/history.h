#pragma once

#include "cli/layout.h"

/* Homes without a database were somebody's: refused, as the server itself, which cannot see them, would begin a new one
 * (store/begun.h). By whoever may look into DATA. */
int history_check(const struct config *c, const struct layout *l, struct error **err) _must_check_;
