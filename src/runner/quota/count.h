#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runner/quota/pace.h"

/* How much lies in a folder, whoever filled it. */
struct count {
    uint64_t bytes; /* on the disk: blocks, not sizes. Of a file with n names each that is found counts an n-th part */
    uint64_t files; /* names */
    bool partial; /* not all of it could be looked at: deeper than COUNT_DEEPEST, or the pace said that it is enough */
};

/* Each folder on the way down is an open descriptor. */
#define COUNT_DEEPEST 128

/* Adds the folder and all that is in it. Follows no link, enters no other file system. */
void count_folder(int folder, const struct pace *pace, struct count *c);
/* The same of what has that name in a folder of ours. */
void count_entry(int folder, const char *name, const struct pace *pace, struct count *c);
