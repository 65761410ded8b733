#include "server/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/* An open-file-description lock: it goes with the process however that ends, and opening the file elsewhere in it does
 * not release it, as it would with fcntl's classic one. */
static bool try_lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

int store_lock(const char *directory, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/open-hydra.lock", directory);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[32] = {0};

    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    if (!try_lock(fd)) {
        if (errno != EAGAIN && errno != EACCES)
            return error_errno(err, errno, "cannot lock %s", path);
        long pid = pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
        return error_set(err, REASON_INTERNAL,
                         "the directory %s is in use by another server (process %ld): stop that one, or name another "
                         "directory",
                         directory, pid);
    }
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    /* In this order it needs no block of a full disk. */
    if (pwrite(fd, text, (size_t)n, 0) != n || ftruncate(fd, n) < 0)
        return error_errno(err, errno, "cannot write %s", path);
    return steal_fd(fd);
}
