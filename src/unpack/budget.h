#pragma once

#include <stdint.h>

#include "base/error.h"
#include "unpack/limits.h"

/* What was written, against what may be; and who is told of it. */
struct budget {
    const struct unpack_limits *limits;
    uint64_t archive_bytes;
    uint64_t bytes, files, entries;
    uint64_t headers; /* what the archive names, made or not */
    int (*tell)(void *arg, uint64_t bytes, uint64_t files, struct error **err); /* negative ends it */
    void *arg;
    int64_t tell_at_us;
};

/* Before they are written. */
int budget_bytes(struct budget *b, uint64_t n, struct error **err) _must_check_;
/* Before what an entry says is looked at. */
int budget_header(struct budget *b, struct error **err) _must_check_;
/* Before a file or folder is made. */
int budget_entry(struct budget *b, struct error **err) _must_check_;
