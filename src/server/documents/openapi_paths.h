#pragma once

#include "base/json.h"
#include "kinds/kind.h"

#define META_SCHEMA_PREFIX "io.k8s.apimachinery.pkg.apis.meta.v1."

/* The operations of a resource, with what kubectl looks for in them: group-version-kind, action, query parameters. */
void openapi_add_paths(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k);

/* {"$ref": "#/components/schemas/NAME"} */
yyjson_mut_val *openapi_reference(yyjson_mut_doc *doc, const char *name);
/* "io.openhydra.open-hydra-server.v1.Device": the group's labels backwards, as Kubernetes names the schemas of
 * definitions. The caller frees. */
char *openapi_schema_name(const struct kind *k, const char *kind);
/* [{"group", "version", "kind"}] */
yyjson_mut_val *openapi_kinds(yyjson_mut_doc *doc, const struct kind *k, const char *kind);
