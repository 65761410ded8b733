#pragma once

#include "base/json.h"

/* Equal as Kubernetes compares: members in any order. In time that grows with the size, unlike yyjson_mut_equals on
 * objects whose keys come in another order. */
bool value_same(yyjson_mut_val *a, yyjson_mut_val *b);
