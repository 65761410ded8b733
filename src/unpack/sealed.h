#pragma once

#include "base/error.h"
#include "unpack/limits.h"

/*
 * What whoever takes this program over by an archive is left with: reading that archive, making files and folders
 * beneath that folder, and one pipe. For good, and in this order:
 */

/* It ends with who started it (`parent`), gets memory, size of files and time of the processor for these limits, and
 * has no descriptors but its own. */
int sealed_begin(int parent, const struct unpack_limits *limits, struct error **err) _must_check_;
/* No file system but beneath the folder, no network (Landlock, where the kernel has it: Linux 5.13), and the few system
 * calls that are left (seccomp). What the C library loads when it needs it has to be there by now. */
int sealed_finish(int folder, struct error **err) _must_check_;
