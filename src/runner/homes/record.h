#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Whose a home is. Homes lie side by side in a folder of ours, the parent. What is known of them lies beside them:
 *
 *   PARENT/USER                      a home
 *   PARENT/.open-hydra/owners/USER   its record
 *   PARENT/.open-hydra/kept/…        homes of people who are not users any more (kept.h)
 *   PARENT/.open-hydra/removed/…     what is being removed
 *   PARENT/.open-hydra/lock          who renames homes, or gives one to an environment, holds it
 *
 * A file rather than an attribute of the home: it comes along in every copy (tar, rsync, NFS), root of a user namespace
 * may write it, and whoever owns the home can neither read nor change it. A home without a record was made before there
 * were any, or brought here by an administrator: it is the present user's (whose.h).
 */
#define HOMES_OWN_FOLDER ".open-hydra"
#define HOME_UID_MAX 64

struct home_ids {
    uint32_t first, size; /* size 0: none */
};
static inline bool home_ids_have(struct home_ids ids, uint32_t id)
{
    return id >= ids.first && id - ids.first < ids.size;
}

struct home_record {
    char uid[HOME_UID_MAX + 1]; /* of the user object */
    struct home_ids seen;       /* all in it was seen to belong to these; none: not looked through yet */
    int64_t since_us;           /* when it became that user's; wall clock */
};

/* A folder of PARENT/.open-hydra/, made where there is none. */
int homes_open_own(int parent, const char *name, struct error **err) _must_check_;
/* Held until the descriptor is closed. Nobody keeps it for work that grows with what lies in a home. */
int homes_lock(int parent, struct error **err) _must_check_;

/* 1: there is one, 0: there is none. */
int record_read(int parent, const char *user, struct home_record *out, struct error **err) _must_check_;
int record_write(int parent, const char *user, const struct home_record *r, struct error **err) _must_check_;
int record_remove(int parent, const char *user, struct error **err) _must_check_;
