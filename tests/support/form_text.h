#pragma once

#include "base/buffer.h"
#include "base/error.h"

/*
 * What comes of a form that is fed in pieces of `size` bytes, as text: «[name|file name or -|bytes]» for each part. A part
 * of the name "refused" is refused.
 */
int form_text(const char *type, const char *p, size_t n, size_t size, struct buffer *out, struct error **err);
