#pragma once

#include "base/error.h"

/* A folder that nobody but us may enter or change, made where there is none. Returns a descriptor. */
int open_private(int parent, const char *name, struct error **err) _must_check_;
