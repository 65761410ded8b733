#pragma once

#include "server/api/request.h"
#include "server/model/patch.h"

/* What came with a write. Documents live as long as the operation. 415 for media types that are none of those, 400 for what
 * cannot be read. */

/* An object, in JSON or YAML; without a Content-Type: JSON. `optional`: an empty body is *out == NULL. */
int body_read_object(struct request *r, bool optional, yyjson_doc **out, struct error **err) _must_check_;
/* One of patch_types. */
int body_read_patch(struct request *r, const struct patch_type **type, yyjson_doc **out, struct error **err)
    _must_check_;
