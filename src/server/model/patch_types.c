#include "server/model/merge_patch.h"
#include "server/model/strategic_patch.h"

const struct patch_type *const patch_types[] = {
    &merge_patch_type,
    &strategic_patch_type,
    NULL,
};
