#pragma once

#include "base/json.h"

/* What a client sent as an object, in JSON or YAML: NULL, and BadRequest, where it is none. */
yyjson_doc *sent_json_object(struct str body, struct error **err) _must_check_;
yyjson_doc *sent_yaml_object(struct str body, struct error **err) _must_check_;
