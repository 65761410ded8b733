#pragma once

#include "kinds/schema_node.h"

/* The walks behind schema.h for one schema and one value that stands at `path` (one key or keys joined by dots):
 * metadata has a schema too. */
int schema_check_node(const struct schema_node *n, const char *path, yyjson_mut_val *v, struct error **err)
    _must_check_;
/* Defaults in, nulls that mean nothing out. */
void schema_fill_node(const struct schema_node *n, yyjson_mut_doc *doc, yyjson_mut_val *v);
