#pragma once

#include "base/json.h"
#include "base/map.h"

/*
 * One YAML document as JSON, with the scalar rules that kubectl applies (YAML 1.1: yes/no/on/off are booleans, 0x and
 * leading-0 octal integers; quoted scalars are strings). Duplicate keys are kept, as yyjson keeps them, for the caller
 * to report. Aliases are expanded within a limit of nodes; merge keys ("<<") are refused. With `lines`, it becomes a
 * map from path ("mysqlConfig.port", "gpuResourceKeys[1]") to its line number as (void *)line; the caller frees it with
 * map_free(m, NULL). NULL: BadRequest that names the line.
 */
yyjson_doc *yaml_parse(struct str text, struct map **lines, struct error **err) _must_check_;
