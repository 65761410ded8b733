#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "config/state.h"

#define SYSTEM_STATE "/var/lib/open-hydra"

char *state_default(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        return xstrdup(SYSTEM_STATE);
    if (state && state[0] == '/')
        return xasprintf("%s/open-hydra", state);
    return xasprintf("%s/.local/state/open-hydra", home ? home : "/tmp");
}

char *runtime_default(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (geteuid() == 0)
        return xstrdup("/run/open-hydra");
    if (runtime && runtime[0] == '/')
        return xasprintf("%s/open-hydra", runtime);
    return xasprintf("/tmp/open-hydra-%u", (unsigned)geteuid());
}

/* The first folder above `path` that strangers cannot go through; the caller frees. NULL: none. */
static char *closed_parent(const char *path)
{
    struct stat st;
    char *copy = xstrdup(path);

    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
            break;
        if (!(st.st_mode & S_IXOTH))
            return copy;
        *at = '/';
    }
    free(copy);
    return NULL;
}

void state_move_if_closed(char **data)
{
    _cleanup_free_ char *closed = geteuid() == 0 ? closed_parent(*data) : NULL;

    if (closed == NULL)
        return;
    log_warning("the state goes to " SYSTEM_STATE ": the service users cannot go through %s to %s", closed, *data);
    free(*data);
    *data = xstrdup(SYSTEM_STATE);
}
