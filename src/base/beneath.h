#pragma once

#include <sys/types.h>

#include "base/attributes.h"

/*
 * As openat, and beneath `folder` alone: through no link and no ".." that leaves it, however the path is written.
 * O_CLOEXEC and O_NOFOLLOW are added to `flags`.
 */
int open_beneath(int folder, const char *path, int flags, mode_t mode) _must_check_;
/* And over no mount point. */
int open_beneath_unmounted(int folder, const char *path, int flags) _must_check_;
