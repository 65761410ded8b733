#pragma once

#include "server/store/store.h"

/* One allocation: the structure, then JSON, name and uid (each NUL-terminated). */
struct object *object_new(uint64_t revision, struct str name, struct str uid, struct str json);
