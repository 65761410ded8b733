#include "runner/homes/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/io.h"

int open_private(int parent, const char *name, struct error **err)
{
    struct stat st;

    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "create folder %s", name);
    _cleanup_close_ int fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open folder %s", name);
    if (st.st_uid != geteuid())
        return error_set(err, REASON_FORBIDDEN,
                         "folder %s belongs to uid %u; homes are kept only in a folder of the runner's own", name,
                         st.st_uid);
    /* Homes keep their privacy even where their parent was made by somebody less careful. */
    if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
        return error_errno(err, errno, "chmod %s", name);
    return steal_fd(fd);
}
