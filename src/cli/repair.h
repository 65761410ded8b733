#pragma once

#include <sys/types.h>

#include "base/error.h"

/*
 * What a copy that was brought back as root, or a start that was killed between two system calls, has left to root (or
 * to the folder's former owner) in a folder of ours goes to the user whose folder it is. That user may have planted
 * things there: no link is followed, a file with a second name elsewhere, another device and what belongs to anybody
 * else are left alone, and nothing outside of the folder is reached. `folder` is an open descriptor.
 */
struct owner {
    uid_t former, uid;
    gid_t gid;
};
int repair_owners(int folder, const struct owner *o, struct error **err) _must_check_;

/* Files that were being written when a start was killed: «name.new», of our own folders alone. */
void repair_half_made(int folder);
