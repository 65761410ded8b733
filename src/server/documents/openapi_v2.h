#pragma once

#include "base/buffer.h"
#include "base/json.h"

/* The same as OpenAPI v2 in protobuf (gnostic's openapi_v2.Document), from an OpenAPI v3 document: all that kubectl
 * before 1.27 can read, and asks for `explain`, `diff`, `--dry-run=server` and its own validation. */
void openapi_v2_write(struct buffer *out, yyjson_mut_val *v3);
