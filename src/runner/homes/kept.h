#pragma once

#include <sys/types.h>

#include "base/str.h"
#include "runner/homes/record.h"

/*
 * Homes that are kept apart: of users who are gone while somebody else has their name. All that is known of one is its
 * name, so that a single rename sets it aside, whole:
 *
 *   USER.20261128T083000Z.UID      .2, .3 … behind it, where there is one of that second already
 *
 * UID is «unknown» where no record said it.
 */
#define KEPT_FOLDER "kept"
#define REMOVED_FOLDER "removed"
#define KEPT_NAME_SIZE 256
#define KEPT_UNKNOWN "unknown"

struct kept_name {
    struct str user, date, uid;
};
bool kept_parse(const char *name, struct kept_name *out);

/* Under homes_lock(). `uid` NULL: not known. `name` gets what it is called then. */
int kept_set_aside(int parent, const char *user, const char *uid, char name[static KEPT_NAME_SIZE], struct error **err)
    _must_check_;
/* Renames without replacing anything, and has both folders on disk. 0; or negative, errno says why. */
int homes_rename(int from, const char *name, int to, const char *as);
