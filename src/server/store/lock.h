#pragma once

#include "base/error.h"

/* Makes the directory this process's alone. Returns the descriptor that holds the lock. */
int store_lock(const char *directory, struct error **err) _must_check_;
