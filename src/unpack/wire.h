#pragma once

#include <stdint.h>

/*
 * What open-hydra-unpack has from who started it, and says to it.
 *
 *     open-hydra-unpack PARENT NAME BYTES ENTRIES DEPTH RATIO
 */
enum unpack_descriptor {
    UNPACK_ARCHIVE = 0,
    UNPACK_RECORDS = 1, /* a pipe */
    UNPACK_FOLDER = 3,  /* 2 is the log's */
};

enum unpack_record_kind { UNPACK_PROGRESS = 1, UNPACK_DONE, UNPACK_FAILED };

/* Shorter than PIPE_BUF: comes whole or not at all. Whoever reads it trusts none of it. */
struct unpack_record {
    uint32_t kind, reason; /* enum reason of base/error.h, where it failed */
    uint64_t bytes, files;
    char message[1024]; /* of a failure; NUL-terminated */
};

#define UNPACK_MEMORY_BYTES (UINT64_C(640) << 20) /* of address space */
