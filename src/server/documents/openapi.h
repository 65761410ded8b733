#pragma once

#include "kinds/kind.h"
#include "server/documents/document.h"

/* /openapi/v3 (index), /openapi/v3/… (documents), /openapi/v2: what kubectl explain, create and apply read. */
struct openapi;
struct openapi *openapi_new(const struct kind *const *kinds, size_t n, const char *product_version);
void openapi_free(struct openapi *o);
/* NULL: no such document. `accept` may be NULL (of interest for /openapi/v2: protobuf where that is asked for). */
const struct document *openapi_find(const struct openapi *o, struct str path, const char *accept);
