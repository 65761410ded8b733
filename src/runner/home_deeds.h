#pragma once

#include "runner/homes/roster.h"

/* What an administrator does with a home that nobody has. `environments` is the folder that shows which are in use. */
struct home_deed {
    const char *environments;
    struct arena *arena;
    bool dry_run;
};

/* Whether an environment has it now. */
bool home_is_in_use(const struct home_deed *d, const struct home_entry *e);
/* It becomes the home of that user (`uid`) where that one's is not there or empty; otherwise a folder in it. Its files
 * are given to the user by the next start of the environment. */
int home_attach(const struct home_deed *d, const struct home_entry *e, const char *user, const char *uid,
                struct error **err) _must_check_;
/* All of it with its owners into a tar file that is not there yet; how it is compressed says the file's name. */
int home_archive(const struct home_deed *d, const struct home_entry *e, const char *file, struct error **err)
    _must_check_;
int home_remove(const struct home_deed *d, const struct home_entry *e, struct error **err) _must_check_;
