#pragma once

#include "base/str.h"

/* Which system calls an environment may make: seccomp.py says them, the build turns it into the profile that engines
 * read. */
struct seccomp_profile {
    const char *name;
    struct str json;
};
extern const struct seccomp_profile seccomp_profiles[];
extern const size_t seccomp_profiles_len;
