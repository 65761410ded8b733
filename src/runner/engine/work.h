#pragma once

#include <sys/types.h>

#include "runner/runtime/runtime.h"

/* What the processes of a container have used, by its control groups: a few small files, as all that run are asked
 * again and again. Files below `proc` and `groups` («/proc», «/sys/fs/cgroup»). NotFound where that process is in no
 * group of a container's own: then the numbers would be another's. */
int engine_work_of(const char *proc, const char *groups, pid_t pid, struct runtime_work *out, struct error **err)
    _must_check_;
/* The operation of runtime.h. */
int engine_work(struct runtime *r, const char *instance, pid_t pid, struct runtime_work *out, struct error **err);
