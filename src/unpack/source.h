#pragma once

#include <archive.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"

#define SOURCE_BLOCK (256 << 10)

/* The archive's bytes, read at places of our own: the descriptor's offset is somebody else's. */
struct source {
    int fd;
    int64_t at, size;
    char block[SOURCE_BLOCK];
};

int source_open(struct source *s, int fd, struct error **err) _must_check_;
/* Bytes at the present place into `block`; 0: the end; negative: errno. */
ssize_t source_read(struct source *s);
/* A reader of zip, tar (compressed once at most, as `source_check` says) and 7z. NULL: none could be made. */
struct archive *source_archive(struct source *s);
/* What the reader says went wrong, in our words where they are better. */
int source_damaged(const struct source *s, struct archive *a, struct error **err);
