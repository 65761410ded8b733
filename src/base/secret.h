#pragma once

#include "base/alloc.h"

/* A password, key or token in memory of its own: wiped before it is given back. NULL allowed. */
void secret_free(char *secret);
static inline void cleanup_secretp(char **secret)
{
    secret_free(*secret);
}
#define _cleanup_secret_ _cleanup_(cleanup_secretp)
