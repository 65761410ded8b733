#pragma once

#include <stdbool.h>

/* Whether the kernel's log says that it ended a process of that container for memory. */
bool engine_killed_for_memory(const char *container_id);
