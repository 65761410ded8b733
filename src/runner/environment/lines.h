#pragma once

#include "base/buffer.h"

/* The last lines of what a stranger's program printed, fit for a status: valid UTF-8, no control characters, bounded,
 * `secret` (may be NULL) blotted out. NULL: nothing was said. The caller frees. */
char *last_lines(struct buffer *text, const char *secret);
