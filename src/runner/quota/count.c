#include "runner/quota/count.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "base/io.h"
#include "base/str.h"

static void count_below(int folder, const char *name, const struct pace *pace, unsigned depth, struct count *c);

static void add(struct count *c, const struct stat *st)
{
    bool is_folder = S_ISDIR(st->st_mode);

    c->files++;
    c->bytes += (uint64_t)st->st_blocks * 512 / (is_folder || st->st_nlink == 0 ? 1 : st->st_nlink);
}

/* Takes the descriptor. */
static void count_content(int fd, const struct pace *pace, unsigned depth, struct count *c)
{
    DIR *d = fdopendir(fd);
    const struct dirent *e;

    if (d == NULL) {
        close(fd);
        c->partial = true;
        return;
    }
    while ((e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        if (pace_step(pace) < 0) {
            c->partial = true;
            break;
        }
        count_below(dirfd(d), e->d_name, pace, depth, c);
    }
    closedir(d);
}

static void count_below(int folder, const char *name, const struct pace *pace, unsigned depth, struct count *c)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        c->partial |= errno != ENOENT; /* gone meanwhile */
        return;
    }
    add(c, &st);
    if (!S_ISDIR(st.st_mode))
        return;
    int fd = depth < COUNT_DEEPEST ? open_beneath_unmounted(folder, name, O_RDONLY | O_DIRECTORY) : -1;
    if (fd >= 0)
        count_content(fd, pace, depth + 1, c);
    else
        c->partial |= depth >= COUNT_DEEPEST || (errno != EXDEV && errno != ENOENT);
}

void count_folder(int folder, const struct pace *pace, struct count *c)
{
    struct stat st;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        c->partial = true;
        if (fd >= 0)
            close(fd);
        return;
    }
    add(c, &st);
    count_content(fd, pace, 1, c);
}

void count_entry(int folder, const char *name, const struct pace *pace, struct count *c)
{
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd >= 0)
        count_folder(fd, pace, c);
    else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        add(c, &st);
    else
        c->partial |= errno != ENOENT;
}
