#include "server/store/begun.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

#define MARK "open-hydra.begun"
#define ANEW "begin-anew"

int begun_allows(const char *directory, struct error **err)
{
    _cleanup_free_ char *mark = xasprintf("%s/" MARK, directory), *anew = xasprintf("%s/" ANEW, directory);

    if (!path_exists(mark))
        return 0;
    if (path_exists(anew)) {
        log_warning("the database %s/open-hydra.db is begun anew, as %s says", directory, anew);
        return 0;
    }
    return error_set(
        err, REASON_INTERNAL,
        "the database %s/open-hydra.db is missing or empty, and there was one (%s): is a disk not mounted? "
        "Put a backup in its place; or, to begin without users and environments, make the file %s",
        directory, mark, anew);
}

int begun_note(const char *directory, struct error **err)
{
    _cleanup_free_ char *mark = xasprintf("%s/" MARK, directory), *anew = xasprintf("%s/" ANEW, directory);

    unlink(anew);
    if (path_exists(mark))
        return 0;
    return write_file_atomic(mark,
                             STR("There is a database beside this file. Where it is missing or empty, no new one is "
                                 "begun.\n"),
                             0600, err);
}
