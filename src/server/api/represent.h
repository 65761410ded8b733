#pragma once

#include "server/api/request.h"
#include "server/model/table.h"

/* How this request wants objects shown (Table, PartialObjectMetadata); not called for REPRESENT_OBJECT, where the
 * stored bytes go out. */
#define REPRESENT_MAX ((size_t)1 << 30)

int represent_begin(struct request *r, struct table *t, struct error **err) _must_check_;
void represent_object(enum representation how, const struct table *t, struct buffer *b, yyjson_val *object,
                      struct str json, bool headers);
