#pragma once

#include <stdint.h>

/* The folder of a container's control group, by what /proc/PID/cgroup says of its first process: of version 2, or of that
 * controller's of version 1. NULL: that process is not in a group that is named after this container (it may be another
 * by now). The caller frees. */
char *cgroup_folder(const char *groups, const char *controller, const char *container_id);
/* The number behind that word in a file of a folder's («oom_kill 3»), or the file's one number, where the word is NULL; 0
 * where there is none. */
uint64_t cgroup_number(const char *folder, const char *file, const char *word);
