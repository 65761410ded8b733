#pragma once

#include <sys/types.h>

/* The share of the processor of who reads what an environment prints. */
void engine_conmon_bound(const char *instance, pid_t pid);
void engine_conmon_release(pid_t pid);
void engine_conmon_forget(const char *instance);
/* `cgroups`: as /proc/PID/cgroup says it. */
char *engine_conmon_scope(const char *cgroups);
