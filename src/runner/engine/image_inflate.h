#pragma once

#include "base/error.h"

/* The file as it is where it is not compressed, else a copy that is not (gzip, bzip2, xz, zstd), without a name, in /var/tmp
 * or TMPDIR: Podman 4 reads no compressed archive of Docker's form. The caller closes it. */
int image_archive_inflate(int file, struct error **err) _must_check_;
