#include "server/content/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/beneath.h"
#include "base/io.h"

#define OWN ".open-hydra"

int shelf_open_folder(int at, const char *path)
{
    return open_beneath_unmounted(at, path, O_RDONLY | O_DIRECTORY);
}

static int make(int at, const char *name, struct error **err)
{
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make folder %s", name);
    return 0;
}

static int make_folders(int own, struct error **err)
{
    static const char *const names[] = {"new", "versions", "trash"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (make(own, names[i], err) < 0)
            return -1;
    return 0;
}

/* Better said now than after an hour of uploading. */
static int try_exchange(int own, struct error **err)
{
    static const char *const names[] = {"trash/.one", "trash/.other"};

    if (make(own, names[0], err) < 0 || make(own, names[1], err) < 0)
        return -1;
    int rc = renameat2(own, names[0], own, names[1], RENAME_EXCHANGE), number = errno;
    unlinkat(own, names[0], AT_REMOVEDIR);
    unlinkat(own, names[1], AT_REMOVEDIR);
    return rc < 0 ? error_errno(err, number, "this file system cannot exchange two folders (ext4, XFS and btrfs can)")
                  : 0;
}

static int open_own(int base, struct error **err)
{
    struct stat st;

    if (make(base, OWN, err) < 0)
        return -1;
    _cleanup_close_ int own = shelf_open_folder(base, OWN);
    if (own < 0 || fstat(own, &st) < 0)
        return error_errno(err, errno, "open " OWN);
    if (st.st_uid != geteuid())
        return error_set(err, REASON_FORBIDDEN, OWN " belongs to user %u, and not to the server (%u)", st.st_uid,
                         geteuid());
    if ((st.st_mode & 077) && fchmod(own, 0700) < 0)
        return error_errno(err, errno, "close " OWN " to others");
    if (make_folders(own, err) < 0 || try_exchange(own, err) < 0)
        return -1;
    return steal_fd(own);
}

int shelf_open(struct shelf *s, const char *base, struct error **err)
{
    _cleanup_close_ int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "open %s", base);
    int own = open_own(fd, err);
    if (own < 0)
        return error_wrap(err, "%s", base);
    *s = (struct shelf){steal_fd(fd), own};
    return 0;
}

void shelf_close(struct shelf *s)
{
    close(s->base);
    close(s->own);
    *s = (struct shelf){-1, -1};
}
