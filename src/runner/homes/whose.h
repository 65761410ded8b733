#pragma once

#include "runner/homes/kept.h"

/*
 * Whether the home of that name is that person's. Persons are told apart by the uid of their user object: a user who was
 * deleted and made again is somebody else.
 *
 *   record says this uid            it is this person's, whatever ids its files have
 *   record says another uid         it is a former one's: set aside, and this person begins without files
 *   no record                       it was made before there were any, or put there by an administrator: this person's,
 *                                   but where its ids are those of one who had the name before
 */
struct home_claim {
    const char *user, *uid;
    struct home_ids ids;    /* that this person's files have */
    struct home_ids former; /* that those of somebody of that name had before there were records; none: nobody's */
};
/* Under homes_lock(). Afterwards there is a record that says this uid, and a home, if there is one, that is this
 * person's. `kept` gets the name of what was set aside, or "". */
int whose_settle(int parent, const struct home_claim *c, struct home_record *record, char kept[static KEPT_NAME_SIZE],
                 struct error **err) _must_check_;
