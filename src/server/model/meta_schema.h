#pragma once

#include "base/json.h"
#include "kinds/kind.h"
#include "kinds/schema_node.h"

/* Kubernetes' own types (meta_schema.yaml), as far as objects of ours hold or answer them. Made once, at the first call; never freed. */
const struct schema_node *meta_object_node(void); /* ObjectMeta, compiled */
yyjson_val *meta_schemas(void); /* OpenAPI schemas by the short name: "ObjectMeta", "ListMeta", "Status" … */

/* Embedded at build: one. */
extern const struct kind_source meta_schema_sources[];
extern const size_t meta_schema_sources_len;
