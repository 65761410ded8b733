#include "cli/handover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/random.h"
#include "cli/become.h"

#define MAX_FILE ((size_t)64 << 20)
#define MAX_DEPTH 16

struct handed_entry {
    char *name, *content;
    size_t n;
    mode_t mode;
    bool watched;
};

struct handover {
    struct handed_entry *entries;
    size_t n;
};

struct handover *handover_new(void)
{
    return xcalloc(1, sizeof(struct handover));
}

void handover_free(struct handover *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->n; i++) {
        explicit_bzero(h->entries[i].content, h->entries[i].n);
        free(h->entries[i].content);
        free(h->entries[i].name);
    }
    free(h->entries);
    free(h);
}

/* --- Reading, with our rights --- */

static void take_entry(struct handover *h, const char *name, char *content, size_t n, mode_t mode, bool watched)
{
    h->entries = xreallocarray(h->entries, h->n + 1, sizeof(*h->entries));
    h->entries[h->n++] = (struct handed_entry){xstrdup(name), content, n, mode, watched};
}

void handover_add(struct handover *h, const char *name, struct str content, mode_t mode, bool watched)
{
    char *copy = xcalloc(1, content.n + 1);

    memcpy(copy, content.p, content.n);
    take_entry(h, name, copy, content.n, mode, watched);
}

int handover_add_file(struct handover *h, const char *from, const char *name, mode_t mode, bool watched,
                      struct error **err)
{
    size_t n = 0;
    char *content = read_file(from, MAX_FILE, &n, err);

    if (content == NULL)
        return -1;
    take_entry(h, name, content, n, mode, watched);
    return 0;
}

/* nftw() has no argument for its callback. */
static struct {
    struct handover *h;
    const char *from, *name;
    struct error **err;
} adding;

static int add_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    _cleanup_free_ char *name = xasprintf("%s%s", adding.name, path + strlen(adding.from));

    return type == FTW_F ? handover_add_file(adding.h, path, name, 0644, false, adding.err) : 0;
}

int handover_add_tree(struct handover *h, const char *from, const char *name, struct error **err)
{
    adding.h = h;
    adding.from = from;
    adding.name = name;
    adding.err = err;
    if (!path_exists(from))
        return error_set(err, REASON_NOT_FOUND, "%s is not there (make build makes it; --web names another folder)",
                         from);
    if (nftw(from, add_entry, 16, FTW_PHYS) != 0)
        return err && *err ? -1 : error_errno(err, errno, "read %s", from);
    return 0;
}

/* --- Writing, with the folder's owner's --- */

/* Whatever it is: a link itself, a folder with what is in it. */
static int clear_way(int folder, const char *name, unsigned depth)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR || depth == 0)
        return -1;
    (void)(fchmodat(folder, name, 0700, 0) < 0); /* closed by its owner, whom we are */
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    if (entries == NULL)
        return -1;
    while ((e = readdir(entries)))
        if (!is_dots(e->d_name))
            (void)(clear_way(fd, e->d_name, depth - 1) < 0); /* then the folder is not empty */
    closedir(entries);
    return unlinkat(folder, name, AT_REMOVEDIR);
}

/* What cannot be removed (nested deeper, or another's within) goes under another name: it keeps nobody from starting.
 */
static int clear_or_move(int folder, const char *name)
{
    char aside[UUID_SIZE];

    if (clear_way(folder, name, MAX_DEPTH) == 0)
        return 0;
    random_uuid(aside);
    return renameat(folder, name, folder, aside);
}

static bool is_own(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0700) == 0700;
}

static int enter_folder(int parent, const char *name, struct error **err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    _cleanup_close_ int fd = openat(parent, name, flags);

    if (fd >= 0 && is_own(fd))
        return steal_fd(fd);
    if (clear_or_move(parent, name) < 0 || mkdirat(parent, name, 0700) < 0 || fsync(parent) < 0)
        return error_errno(err, errno, "create folder %s", name);
    int made = openat(parent, name, flags);
    return made < 0 ? error_errno(err, errno, "open %s", name) : made;
}

/* A fifo must not keep us waiting, nor somebody else's file pass for ours. */
static bool is_there(int folder, const char *name, const struct handed_entry *e)
{
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    char piece[16384];
    size_t at = 0;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid() ||
        (st.st_mode & 07777) != e->mode || (size_t)st.st_size != e->n)
        return false;
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        if ((size_t)n > e->n - at || memcmp(piece, e->content + at, (size_t)n) != 0)
            return false;
        at += (size_t)n;
    }
    return n == 0 && at == e->n;
}

static int write_new(int folder, const char *name, const struct handed_entry *e, struct error **err)
{
    _cleanup_close_ int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, e->mode);

    if (fd < 0)
        return error_errno(err, errno, "create %s", e->name);
    if (fchmod(fd, e->mode) < 0)
        return error_errno(err, errno, "chmod %s", e->name);
    if (write_all(fd, e->content, e->n, err) < 0)
        return error_wrap(err, "%s", e->name);
    return fsync(fd) < 0 ? error_errno(err, errno, "sync %s", e->name) : 0;
}

static int replace_entry(int folder, const char *name, const struct handed_entry *e, struct error **err)
{
    _cleanup_free_ char *temporary = xasprintf("%s.new", name);

    if (clear_or_move(folder, temporary) < 0)
        return error_errno(err, errno, "remove %s.new", e->name);
    int rc = write_new(folder, temporary, e, err);
    if (rc == 0 && renameat(folder, temporary, folder, name) < 0 &&
        (clear_or_move(folder, name) < 0 || renameat(folder, temporary, folder, name) < 0))
        rc = error_errno(err, errno, "rename %s", e->name);
    if (rc < 0)
        unlinkat(folder, temporary, 0);
    else if (fsync(folder) < 0)
        rc = error_errno(err, errno, "sync the folder of %s", e->name);
    return rc < 0 ? -1 : 1;
}

/* Returns 1 where it was not there as it should be. */
static int put_entry(int folder, const struct handed_entry *e, struct error **err)
{
    _cleanup_close_ int at = dup(folder);
    struct str rest = str_from(e->name), part;

    while (at >= 0 && str_split(&rest, '/', &part)) {
        _cleanup_free_ char *name = xstrndup(part.p, part.n);
        if (rest.p == NULL)
            return is_there(at, name, e) ? 0 : replace_entry(at, name, e, err);
        int next = enter_folder(at, name, err);
        if (next < 0)
            return -1;
        close(at);
        at = next;
    }
    return error_errno(err, errno, "%s", e->name);
}

int handover_write(const struct handover *h, const char *folder, uid_t id, struct error **err)
{
    int changed = 0;

    if (become(id, err) < 0)
        return -1;
    /* What was read may be more than that user may know: the files of others beside it. */
    prctl(PR_SET_DUMPABLE, 0);
    _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", folder);
    for (size_t i = 0; i < h->n; i++) {
        int rc = put_entry(fd, &h->entries[i], err);
        if (rc < 0)
            return error_wrap(err, "%s", folder);
        changed |= h->entries[i].watched && rc;
    }
    return changed;
}
