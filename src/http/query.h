#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct query_parameter {
    const char *name, *value;
};

/* Cuts the next `name=value` off `*rest` (application/x-www-form-urlencoded: '&' separates, '+' is a blank), decoded
 * into the arena. A parameter without '=' has the value "". One with a bad escape or an encoded NUL is skipped: no
 * reader of C strings could see what was meant. Returns false at the end. */
bool query_next(struct str *rest, struct arena *arena, struct query_parameter *out);
