#pragma once

#include <stdbool.h>

#include "base/json.h"

/*
 * The part of kubectl's JSON paths that a printer column may use: ".spec.role", ".status.urls[0]",
 * ".metadata.labels.example\.org/x", ".status.conditions[?(@.type==\"Ready\")].status".
 */
bool column_path_valid(const char *path);
yyjson_val *column_path_get(yyjson_val *object, const char *path); /* NULL where a step is missing */
