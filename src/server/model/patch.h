#pragma once

#include "base/json.h"

/* A way of saying what shall change: what a PATCH may send. All of them stand in patch_types.c. */
struct patch_type {
    const char *media_type;
    /* What was sent, checked as far as that can be done without the object. NULL: BadRequest. */
    yyjson_doc *(*parse)(struct str body, struct error **err);
    /* What becomes of `old`, as a new value in `doc`. Called again for the same patch where the object has changed
     * meanwhile. NULL: why it cannot be applied. */
    yyjson_mut_val *(*apply)(yyjson_mut_doc *doc, yyjson_val *old, yyjson_val *patch, struct error **err);
};

extern const struct patch_type *const patch_types[]; /* ended by NULL */

const struct patch_type *patch_type_find(struct str media_type); /* in any case; NULL: none */
char *patch_types_text(void); /* «application/merge-patch+json, …»; the caller frees */
