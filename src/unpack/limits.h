#pragma once

#include <stdint.h>

struct unpack_limits {
    uint64_t bytes;          /* as written, whatever the archive says */
    uint32_t entries;        /* files and folders, those that only paths name included */
    uint32_t depth;          /* names in a path */
    uint32_t ratio;          /* bytes written for each of the archive's, once RATIO_FREE are written; 0: any */
    uint32_t silent_seconds; /* without a sign of life; 0: 60 */
};

/* A small archive may well be all zeros. */
#define RATIO_FREE (UINT64_C(64) << 20)
