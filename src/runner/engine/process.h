#pragma once

#include "base/json.h"
#include "runner/runtime/runtime.h"

/* Ids that a process may have. size 0: any. */
struct id_range {
    uint32_t first, size;
};

/* The process of that number. Whose user ids do not all lie in the range is another by now, with a number that was used
 * again. */
struct runtime_process process_open(pid_t pid, struct id_range ids);
/* The first process of a container, as the engine says what it is and which ids it has. */
struct runtime_process process_of_container(yyjson_val *container);
