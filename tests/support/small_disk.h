#pragma once

#include <stdbool.h>

/*
 * A small file system of its own for a test, and what fills it to the last block. Needs root: `false` where it cannot
 * be mounted, and the test is to skip.
 */
bool small_disk_mount(const char *folder, unsigned mebibytes); /* tmpfs */
void small_disk_umount(const char *folder);
/* A file that takes all that is left, also what is given up later when it is called again. */
void small_disk_fill(const char *folder);
void small_disk_empty(const char *folder);
