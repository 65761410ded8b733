#pragma once

#include "base/json.h"
#include "kinds/kind.h"

/* A way of saying what shall change: what a PATCH may send. All of them stand in patch_types.c. */
struct patch_type {
    const char *media_type;
    bool core_only; /* of Kubernetes' own types: of others its clients send something else */
    /* What was sent, checked as far as that can be done without the object. NULL: BadRequest. */
    yyjson_doc *(*parse)(struct str body, struct error **err);
    /* What becomes of `old`, as a new value in `doc`. Called again for the same patch where the object has changed
     * meanwhile. NULL: why it cannot be applied. */
    yyjson_mut_val *(*apply)(yyjson_mut_doc *doc, yyjson_val *old, yyjson_val *patch, struct error **err);
};

extern const struct patch_type *const patch_types[]; /* ended by NULL */

bool patch_type_fits(const struct patch_type *t, const struct kind *k);
/* In any case; NULL: none of that kind. */
const struct patch_type *patch_type_find(const struct kind *k, struct str media_type);
char *patch_types_text(const struct kind *k); /* «application/merge-patch+json, …»; the caller frees */
