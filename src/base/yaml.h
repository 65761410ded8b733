#pragma once

#include "base/json.h"
#include "base/map.h"

/*
 * libyaml keeps strings and open brackets that it goes through again and again, so that what a stranger sends is read
 * within bounds: then time grows with the length alone. 256 KiB is ten times the largest manifest seen; whatever is
 * larger was written by a program, which can send JSON.
 */
#define YAML_MAX ((size_t)256 << 10)

/*
 * One YAML document in UTF-8 as JSON, with the scalar rules that kubectl applies (YAML 1.1: yes/no/on/off are booleans,
 * 0x, 0b and leading-0 octal integers; quoted scalars are strings). Duplicate keys are kept, as yyjson keeps them, for
 * the caller to report. At most JSON_MAX_DEPTH deep. Refused is what no manifest needs: anchors and aliases, tags other
 * than !!str, %TAG, merge keys ("<<"), a thousand blanks in a row. With `lines`, it becomes a map from path
 * ("mysqlConfig.port", "gpuResourceKeys[1]") to its line number as (void *)line; the caller frees it with
 * map_free(m, NULL). NULL: BadRequest that names the line, or RequestEntityTooLarge.
 */
yyjson_doc *yaml_parse(struct str text, struct map **lines, struct error **err) _must_check_;
