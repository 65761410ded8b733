#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct home_options {
    const char *base;    /* the configured folder */
    const char *sandbox; /* NULL: homes lie directly in base */
    const char *user;
    uid_t owner;                      /* of a new home: user and group */
    uint32_t range_first, range_size; /* an existing one's owner lies in it */
    bool chown;                       /* false: without root, everything is ours */
    const char *const *folders;       /* that the owner has in it: «a/b», made where there are none */
    size_t folders_len;
};

/* Makes the user's home where there is none, and `folders` in it. Follows no link below `base`, whose content
 * a student or a taken-over server might have changed. Returns a descriptor of it (O_PATH). */
int home_open(const struct home_options *o, struct error **err) _must_check_;
