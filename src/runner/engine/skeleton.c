#include "runner/engine/skeleton.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

#define PIECE 65536

struct copying {
    const struct skeleton *s;
    uint64_t bytes;
    unsigned entries;
};

static int copy_folder(struct copying *c, int from, int to, unsigned depth, struct error **err);

static int too_much(const struct copying *c, struct error **err)
{
    return error_set(err, REASON_INVALID,
                     "homeSkeleton: %s holds more than a new home may begin with (%llu MiB, %u names, %u levels)",
                     c->s->folder, (unsigned long long)SKELETON_BYTES_MAX >> 20, SKELETON_ENTRIES_MAX,
                     SKELETON_DEPTH_MAX);
}

static int failed(const struct copying *c, const char *name, struct error **err)
{
    return error_errno(err, errno, "homeSkeleton: copy %s of %s", name, c->s->folder);
}

/* Of no set-id and no sticky bit; always the owner's to read and write. */
static int give(const struct copying *c, int fd, mode_t mode, mode_t least)
{
    if (c->s->chown && fchown(fd, c->s->owner, c->s->owner) < 0)
        return -1;
    return fchmod(fd, (mode & 0777) | least) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int copy_bytes(struct copying *c, int in, int out, const char *name, struct error **err)
{
    _cleanup_free_ char *piece = xmalloc(PIECE);
    ssize_t n;

    while ((n = read(in, piece, PIECE)) > 0) {
        c->bytes += (uint64_t)n;
        if (c->bytes > SKELETON_BYTES_MAX)
            return too_much(c, err);
        if (write_all(out, piece, (size_t)n, err) < 0)
            return error_wrap(err, "homeSkeleton: copy %s", name);
    }
    return n < 0 ? failed(c, name, err) : 0;
}

static int copy_file(struct copying *c, int in, const struct stat *st, int to, const char *name, struct error **err)
{
    _cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (out < 0)
        return failed(c, name, err);
    if (copy_bytes(c, in, out, name, err) < 0)
        return -1;
    return give(c, out, st->st_mode, 0600) < 0 ? failed(c, name, err) : 0;
}

static int copy_below(struct copying *c, int in, const struct stat *st, int to, const char *name, unsigned depth,
                      struct error **err)
{
    if (depth == SKELETON_DEPTH_MAX)
        return too_much(c, err);
    if (mkdirat(to, name, 0700) < 0)
        return failed(c, name, err);
    _cleanup_close_ int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out < 0)
        return failed(c, name, err);
    if (copy_folder(c, in, out, depth + 1, err) < 0)
        return -1;
    return give(c, out, st->st_mode, 0700) < 0 ? failed(c, name, err) : 0;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, unsigned depth, struct error **err)
{
    struct stat st;

    if (++c->entries > SKELETON_ENTRIES_MAX)
        return too_much(c, err);
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(c, name, err);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        log_warning("homeSkeleton: %s in %s is neither file nor folder: left out", name, c->s->folder);
        return 0;
    }
    /* What was exchanged meanwhile opens as no link, and does not wait. */
    _cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0)
        return failed(c, name, err);
    if (S_ISDIR(st.st_mode))
        return copy_below(c, in, &st, to, name, depth, err);
    return S_ISREG(st.st_mode) ? copy_file(c, in, &st, to, name, err) : 0;
}

static void close_folder(DIR **d)
{
    if (*d)
        closedir(*d);
}

static int copy_folder(struct copying *c, int from, int to, unsigned depth, struct error **err)
{
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(close_folder) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (d == NULL)
        return failed(c, "a folder", err);
    while ((e = readdir(d)))
        if (!is_dots(e->d_name) && copy_entry(c, from, to, e->d_name, depth, err) < 0)
            return -1;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *w)
{
    return remove(path);
}

/* Only we write in the folder of homes; nothing in it was given to anybody by that name. */
static int remove_half_made(int parent, const char *name, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d/%s", parent, name);

    if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove %s, which was left half made", name);
    return 0;
}

static int fill(const struct skeleton *s, int home, struct error **err)
{
    struct copying c = {.s = s};
    _cleanup_close_ int from = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (from < 0)
        return error_errno(err, errno, "homeSkeleton: open %s", s->folder);
    if (copy_folder(&c, from, home, 0, err) < 0)
        return -1;
    return give(&c, home, 0, 0700) < 0 ? failed(&c, "the folder", err) : 0;
}

static int copy(const struct skeleton *s, int parent, const char *name, struct error **err)
{
    if (mkdirat(parent, name, 0700) < 0)
        return error_errno(err, errno, "create the home of %s", s->user);
    _cleanup_close_ int home = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (home < 0)
        return error_errno(err, errno, "create the home of %s", s->user);
    return fill(s, home, err);
}

int skeleton_copy(const struct skeleton *s, int parent, struct error **err)
{
    _cleanup_free_ char *name = xasprintf(SKELETON_PREFIX "%s", s->user);
    struct stat st;

    if (fstatat(parent, s->user, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (remove_half_made(parent, name, err) < 0)
        return -1;
    if (copy(s, parent, name, err) == 0)
        return 1;
    (void)remove_half_made(parent, name, NULL); /* for what did not fit */
    return -1;
}

int skeleton_place(const struct skeleton *s, int parent, struct error **err)
{
    _cleanup_free_ char *name = xasprintf(SKELETON_PREFIX "%s", s->user);

    if (renameat2(parent, name, parent, s->user, RENAME_NOREPLACE) < 0)
        return errno == EEXIST ? remove_half_made(parent, name, err)
                               : error_errno(err, errno, "create the home of %s", s->user);
    return fsync(parent) < 0 ? error_errno(err, errno, "create the home of %s", s->user) : 0;
}
