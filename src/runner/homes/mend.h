#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "runner/homes/record.h"

/*
 * Files in a home that do not belong to the home's user: a backup brought them back with the numbers that they had
 * elsewhere, or somebody worked in it as root. Whose a home is says its place (whose.h), so that all in it is given to
 * its user, whoever had it.
 *
 * Only what is beneath the home is reached, no link is followed, nothing mounted in it is entered. Left alone are
 * devices, and files with a further name outside of the home: an environment can make neither, an administrator can;
 * files with several names too that are moved about meanwhile, for then nobody knows. What
 * makes a file run as its owner (setuid, capabilities) is taken from it by the kernel with the change. A folder is given
 * after all that is in it, and the home's top last: as long as something in it is wrong the way there is wrong, and a walk
 * that was ended is begun again by the next look. What is right is not touched.
 */
struct mend_order {
    uid_t owner;          /* user and group of what is another's */
    struct home_ids ids;  /* whatever belongs to one of these is right */
    struct home_ids from; /* those that it had before: its users stay apart; none: not known */
};

struct mend_count {
    _Atomic uint64_t looked, mended, left;
};

/* A few folders that a start needs, and the home's top: whether something there is another's. A tenth of a second at
 * most. */
bool mend_is_needed(int home, const struct mend_order *o);
/* Whether the home itself is another's. */
bool mend_top_is_strange(int home, const struct mend_order *o);
/* Walks through all of it. False: `stop` was set before the end, or it cannot be opened. */
bool mend_home(int home, const struct mend_order *o, const atomic_bool *stop, struct mend_count *count);
