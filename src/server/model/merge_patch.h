#pragma once

#include "server/model/patch.h"

/* RFC 7396: a new value in `doc`. Of keys that occur twice in the patch the last one counts. Time grows with the sizes'
 * sum, whatever is in them; yyjson's own goes through one object for each key of the other. */
yyjson_mut_val *merge_patch(yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch);
extern const struct patch_type merge_patch_type;
