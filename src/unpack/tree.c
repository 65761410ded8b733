#include "unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/io.h"

#define FOLDER_MODE 0755

static int open_folder(int at, const char *path)
{
    return open_beneath(at, path, O_PATH | O_DIRECTORY, 0);
}

void tree_open(struct tree *t, int root, struct budget *budget)
{
    *t = (struct tree){.root = root, .budget = budget, .folder = -1};
}

void tree_close(struct tree *t)
{
    if (t->folder >= 0)
        close(t->folder);
    t->folder = -1;
}

static int cannot(int number, const char *what, struct error **err)
{
    if (number == ENOSPC || number == EDQUOT)
        return error_set(err, REASON_INSUFFICIENT_STORAGE, "%s: %s", what, strerror(number));
    if (number == ENOTDIR)
        return error_set(err, REASON_BAD_REQUEST, "is a folder in one place of the archive and a file in another");
    return error_errno(err, number, "%s", what);
}

/* A folder that is there may be a file all the same: opening it says so. */
static int make_folder(struct tree *t, int at, const char *name, struct error **err)
{
    int fd = open_folder(at, name);

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return cannot(errno, "open its folder", err);
    if (budget_entry(t->budget, err) < 0)
        return -1;
    if (mkdirat(at, name, FOLDER_MODE) < 0)
        return cannot(errno, "make its folder", err);
    fd = open_folder(at, name);
    return fd < 0 ? cannot(errno, "open its folder", err) : fd;
}

/* One name after the other, from the root. */
static int walk(struct tree *t, char *path, struct error **err)
{
    int at = t->root;

    for (char *name = path, *end; name; name = end) {
        end = strchr(name, '/');
        if (end)
            *end++ = '\0';
        int below = make_folder(t, at, name, err);
        if (at != t->root)
            close(at);
        if (below < 0)
            return -1;
        at = below;
    }
    return at;
}

/* Returns a descriptor that stays the tree's. */
static int enter(struct tree *t, const char *path, size_t n, struct error **err)
{
    char copy[PATH_MAX];

    if (n == 0)
        return t->root;
    if (t->folder >= 0 && str_equal(str_from(t->path), (struct str){path, n}))
        return t->folder;
    *(char *)mempcpy(copy, path, n) = '\0';
    int fd = open_folder(t->root, copy);
    if (fd < 0)
        fd = walk(t, copy, err);
    if (fd < 0)
        return -1;
    tree_close(t);
    *(char *)mempcpy(t->path, path, n) = '\0';
    return t->folder = fd;
}

int tree_folder(struct tree *t, const char *path, struct error **err)
{
    return enter(t, path, strlen(path), err) < 0 ? -1 : 0;
}

int tree_file(struct tree *t, const char *path, mode_t mode, struct error **err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int folder = enter(t, path, slash ? (size_t)(slash - path) : 0, err);

    if (folder < 0 || budget_entry(t->budget, err) < 0)
        return -1;
    int fd = open_beneath(folder, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, REASON_BAD_REQUEST, "is in the archive twice");
    return fd < 0 ? cannot(errno, "make the file", err) : fd;
}
