#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What a password may be at all; longer ones are refused before they are hashed. */
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024
