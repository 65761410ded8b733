#pragma once

#include "server/model/patch.h"

/* What kubectl sends for Kubernetes' own types, unasked. Without lists and directives it says the same as a merge patch
 * (RFC 7396), and what has some is refused: how lists merge is known of each type alone. */
extern const struct patch_type strategic_patch_type;
