#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/error.h"
#include "unpack/budget.h"

/*
 * The one folder that is written into. Every path is opened beneath it, through no link (openat2), and nothing that is
 * there is opened again: a file is made, or it is an error.
 */
struct tree {
    int root;
    struct budget *budget;
    int folder; /* `path` below the root, kept open: entries come folder by folder */
    char path[PATH_MAX];
};

void tree_open(struct tree *t, int root, struct budget *budget);
void tree_close(struct tree *t);
/* Folders on the way are made. One that is there is fine. */
int tree_folder(struct tree *t, const char *path, struct error **err) _must_check_;
/* A new empty file, open for writing. */
int tree_file(struct tree *t, const char *path, mode_t mode, struct error **err) _must_check_;
