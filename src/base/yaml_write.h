#pragma once

#include "base/buffer.h"
#include "base/json.h"

/* YAML as people write it: keys and lists below each other, a list without objects or lists on one line. What it says
 * is read again as the same by every reader: a text that could be taken for anything else is in quotes. Keys are words. */
void yaml_write(struct buffer *out, yyjson_mut_val *value);
