#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What a password may be at all; longer ones are refused before they are hashed. */
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024

/* A password out of a place that is given back to the allocator: wiped first. NULL allowed. */
void password_free(char *password);
static inline void cleanup_passwordp(char **password)
{
    password_free(*password);
}
#define _cleanup_password_ _cleanup_(cleanup_passwordp)
