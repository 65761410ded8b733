#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "runner/homes/mend.h"
#include "runner/homes/whose.h"

struct home_options {
    const char *base;    /* the configured folder */
    const char *sandbox; /* NULL: homes lie directly in base */
    const char *user;
    const char *uid;                  /* of the user object; NULL: not known, and nobody is asked whose the home is */
    struct home_ids former;           /* as in struct home_claim */
    uid_t owner;                      /* of a new home: user and group */
    uint32_t range_first, range_size; /* an existing one's owner lies in it, or it has to be mended */
    bool chown;                       /* false: without root, everything is ours */
    const char *skeleton;             /* whose files a new one begins with; NULL: it is empty */
    const char *const *folders;       /* that the owner has in it: «a/b», made where there are none */
    size_t folders_len;
};

struct home {
    int fd, parent; /* O_RDONLY; the caller closes */
    struct home_record record;
    char kept[KEPT_NAME_SIZE]; /* what a former user's is called that was set aside, in PARENT/.open-hydra/kept */
    bool mend;                 /* it has files that are another's: menders.h */
};
void home_close(struct home *h);
#define _cleanup_home_ _cleanup_(home_close)

/* Makes the user's home where there is none; a former user's of that name is set aside (whose.h). Follows no link below
 * `base`, whose content a student or a taken-over server might have changed. Under the lock of the homes beside it, which
 * the caller closes with `*lock` when the home is mounted. */
int home_open(const struct home_options *o, struct home *out, int *lock, struct error **err) _must_check_;
/* Whether it is still what has that name: where the lock was not held all the time. */
bool home_is_in_place(const struct home *h, const char *user);
/* `folders`, where there are none; not through links, and not in what is another's. */
void home_make_folders(const struct home_options *o, const struct home *h);
struct mend_order home_mend_order(const struct home_options *o, const struct home *h);
