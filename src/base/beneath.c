#include "base/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_with(int folder, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .mode = mode,
                           .resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

int open_beneath(int folder, const char *path, int flags, mode_t mode)
{
    return open_with(folder, path, flags, mode, 0);
}

int open_beneath_unmounted(int folder, const char *path, int flags)
{
    return open_with(folder, path, flags, 0, RESOLVE_NO_XDEV);
}
