#include "cli/repair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

/* Deeper than anything of ours. */
#define MAX_DEPTH 16

static bool is_to_give(const struct stat *st, const struct owner *o)
{
    if (st->st_uid == o->uid || (st->st_uid != 0 && st->st_uid != o->former))
        return false;
    return S_ISDIR(st->st_mode) || (S_ISREG(st->st_mode) && st->st_nlink == 1);
}

static int repair_in(int folder, dev_t device, const struct owner *o, unsigned depth, struct error **err);

/* By a descriptor throughout: what has the name now need not have it a moment later. */
static int repair_entry(int folder, const char *name, dev_t device, const struct owner *o, unsigned depth,
                        struct error **err)
{
    _cleanup_close_ int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != device)
        return 0;
    if (is_to_give(&st, o) && fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "chown %s", name);
    if (!S_ISDIR(st.st_mode) || depth == 0)
        return 0;
    _cleanup_close_ int below = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return below < 0 ? 0 : repair_in(below, device, o, depth - 1, err);
}

static int repair_in(int folder, dev_t device, const struct owner *o, unsigned depth, struct error **err)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (entries == NULL)
        return error_errno(err, errno, "read a folder");
    while (rc == 0 && (e = readdir(entries)))
        if (!is_dots(e->d_name))
            rc = repair_entry(folder, e->d_name, device, o, depth, err);
    closedir(entries);
    return rc;
}

int repair_owners(int folder, const struct owner *o, struct error **err)
{
    struct stat st;

    if (fstat(folder, &st) < 0)
        return error_errno(err, errno, "stat");
    return repair_in(folder, st.st_dev, o, MAX_DEPTH, err);
}

void repair_half_made(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    while (entries && (e = readdir(entries)))
        if (ends_with(e->d_name, ".new"))
            (void)(unlinkat(folder, e->d_name, 0) < 0); /* whoever writes it next removes it as well */
    if (entries)
        closedir(entries);
}
