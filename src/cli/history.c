#include "cli/history.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

static bool is_lost(const struct layout *l)
{
    _cleanup_free_ char *database = xasprintf("%s/open-hydra.db", l->server_state);
    _cleanup_free_ char *anew = xasprintf("%s/begin-anew", l->server_state);
    struct stat st;

    return (stat(database, &st) < 0 || st.st_size == 0) && !path_exists(anew);
}

int history_check(const struct config *c, const struct layout *l, struct error **err)
{
    /* Another folder may have been filled by another program before the first start. */
    _cleanup_free_ char *own = xasprintf("%s/", c->data);

    if (!is_lost(l) || !starts_with(c->workspace_path, own) || !has_entry(c->workspace_path))
        return 0;
    return error_set(
        err, REASON_INTERNAL,
        "the database %s/open-hydra.db is missing or empty, and there are homes in %s: put a backup in its "
        "place; or, to begin without users and environments, make the file %s/begin-anew",
        l->server_state, c->workspace_path, l->server_state);
}
