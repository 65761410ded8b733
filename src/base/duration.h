#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/str.h"

#define DURATION_MAX (UINT64_C(366) * 86400)
/* «90s», «30m», «12h», «2d», «90» (seconds), «0» or «never» (0). Negative: it is none, or more than `max` seconds. */
int duration_parse(struct str s, uint64_t max, uint64_t *seconds) _must_check_;
/* The shortest of these that says it, for people: «12 h», «90 s». */
#define DURATION_SIZE 24
void duration_say(char out[static DURATION_SIZE], uint64_t seconds);
