#pragma once

#include <sys/types.h>

/* From now on `pid` counts in the control groups of `other`: those that bound processor, memory and processes. Not in
 * the machine's own, and not where groups are not ours to change. */
void relay_groups_join(pid_t pid, pid_t other);
/* The path of that file by a line of /proc/PID/cgroup; NULL: it is none of these. The caller frees. */
char *relay_group_path(const char *line);
