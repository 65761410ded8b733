#pragma once

#include <stdbool.h>

/*
 * kill -9 at every moment that the disk could tell from another: runs `work` in a child and kills it before its `nth`
 * system call (from 0). False: it ended before. For a loop: for (n = 0; kill_at(n, work, arg); n++) look();
 */
bool kill_at(unsigned nth, void (*work)(void *arg), void *arg);
