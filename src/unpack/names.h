#pragma once

#include <iconv.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * Names of entries. What is well-formed UTF-8 is that (ASCII included); all else was written by a Chinese Windows,
 * whose zips do not say so, and is GB18030. Decided for each entry, as 7-Zip marks only some as UTF-8.
 *
 * Of what comes of it: leading slashes, "." and empty names go; ".." is refused; so is what steers instead of being
 * seen (base/text.h), a name over 255 bytes, a path over 4095. Only in zip a backslash is a slash.
 */
struct names {
    iconv_t gb18030;
};

struct entry_path {
    char text[PATH_MAX]; /* "a/b/c"; "": the folder itself */
    unsigned depth;
};

/* Before files can no longer be opened: the C library reads its tables. */
int names_open(struct names *n, struct error **err) _must_check_;
void names_close(struct names *n);
int names_read(const struct names *n, const char *raw, bool backslash, struct entry_path *out, struct error **err)
    _must_check_;
/* What a Mac puts into archives for itself. */
bool names_left_out(const struct entry_path *path);
