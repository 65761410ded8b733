#pragma once

#include "kinds/kind.h"
#include "server/documents/document.h"

/* What tells a client which resources there are: /api, /apis, /apis/GROUP, /apis/GROUP/VERSION, in the legacy form and
 * (at /api and /apis, where the Accept header asks for it) as apidiscovery.k8s.io APIGroupDiscoveryList v2 or v2beta1.
 */
struct discovery;
struct discovery *discovery_new(const struct kind *const *kinds, size_t n);
void discovery_free(struct discovery *d);
/* NULL: no discovery path. A trailing slash does not matter. `accept` may be NULL. Valid as long as `d`. Reply with
 * «Vary: Accept». */
const struct document *discovery_find(const struct discovery *d, struct str path, const char *accept);
