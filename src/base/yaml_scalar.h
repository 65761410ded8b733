#pragma once

#include "base/json.h"

/* What a plain scalar means by the rules of YAML 1.1, as kubectl reads them. NULL: a string. */
yyjson_mut_val *yaml_resolve_plain(yyjson_mut_doc *doc, const char *s);
