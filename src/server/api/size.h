#pragma once

#include "server/api/hooks.h"

/* Whether the object to be, whose JSON has `n` bytes, is as small as asked (kind.h). One that was larger before may stay
 * so, and shrink: or nobody could mend it. 413 names the largest field. */
int size_check(const struct admission *a, size_t n, size_t max, struct error **err) _must_check_;
