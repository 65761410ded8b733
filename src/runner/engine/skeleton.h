#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* How much a new home may begin with: it is copied while somebody waits. */
#define SKELETON_BYTES_MAX ((uint64_t)1 << 30)
#define SKELETON_ENTRIES_MAX 10000
#define SKELETON_DEPTH_MAX 32

struct skeleton {
    const char *folder; /* whose files they are copies of */
    const char *user;
    uid_t owner; /* user and group of all of it */
    bool chown;  /* false: without root, everything is ours */
};

/*
 * Makes the home `s->user` in the folder `parent` with copies of the files of `s->folder`, which are the owner's, or not
 * at all: it is made under SKELETON_PREFIX and the user's name, on disk before it gets its own, and begun anew where a
 * kill left it half done. A home that is there already is left as it is. Files and folders alone: links and devices are
 * left out, and no name leads out of the skeleton.
 *
 * Copying takes long, and no lock is to be held meanwhile; one at a time for a user. 1: it is done; 0: there is a home.
 */
#define SKELETON_PREFIX ".new-"
int skeleton_copy(const struct skeleton *s, int parent, struct error **err) _must_check_;
/* What was copied gets its name, where nothing has that meanwhile. */
int skeleton_place(const struct skeleton *s, int parent, struct error **err) _must_check_;
