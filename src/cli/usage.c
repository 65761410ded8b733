/* `usage`: who has how much on the disk. It looks itself, so that neither server nor runner has to. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "runner/quota/count.h"

struct home {
    char *name;
    struct count usage;
};

struct homes {
    struct home *list;
    size_t n;
};

static bool is_entry(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void add_home_usage(struct homes *h, int folder, const char *sandbox, const char *user)
{
    struct home *home;

    h->list = xreallocarray(h->list, h->n + 1, sizeof(*h->list));
    home = &h->list[h->n++];
    *home = (struct home){.name = sandbox ? xasprintf("%s/%s", sandbox, user) : xstrdup(user)};
    count_entry(folder, user, NULL, &home->usage);
}

/* Of former users, beside those of the present ones. */
static void find_kept(struct homes *h, int folder, const char *sandbox)
{
    int fd = openat(folder, ".open-hydra/kept", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (is_entry(e))
            add_home_usage(h, dirfd(d), sandbox, e->d_name);
    if (d)
        closedir(d);
}

/* <base>/<user>, or <base>/<sandbox>/<user>. */
static void find_homes(struct homes *h, int fd, const char *sandbox, bool by_sandbox)
{
    DIR *d = fdopendir(fd);
    const struct dirent *e;

    if (d == NULL) {
        close(fd);
        return;
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.') /* no home's name begins so */
            continue;
        int below = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0 && by_sandbox) {
            find_homes(h, below, e->d_name, false);
            continue;
        }
        if (below >= 0)
            close(below);
        add_home_usage(h, dirfd(d), sandbox, e->d_name);
    }
    if (!by_sandbox)
        find_kept(h, dirfd(d), sandbox);
    closedir(d);
}

static int larger_first(const void *a, const void *b)
{
    const struct home *x = a, *y = b;
    if (x->usage.bytes != y->usage.bytes)
        return x->usage.bytes < y->usage.bytes ? 1 : -1;
    return strcmp(x->name, y->name);
}

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

static void print_homes(struct homes *h)
{
    if (h->n > 1)
        qsort(h->list, h->n, sizeof(*h->list), larger_first);
    printf("%12s %10s  %s\n", "MiB", "FILES", "HOME");
    for (size_t i = 0; i < h->n; i++)
        printf("%12.1f %10llu%c %s\n", mebibytes(h->list[i].usage.bytes), (unsigned long long)h->list[i].usage.files,
               h->list[i].usage.partial ? '+' : ' ', h->list[i].name);
}

static int print_base(const char *base, bool by_sandbox, struct error **err)
{
    struct homes h = {0};
    struct statvfs st;
    int fd = base ? open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (base == NULL)
        return 0;
    if (fd < 0)
        return error_errno(err, errno, "open %s", base);
    if (fstatvfs(fd, &st) == 0)
        printf("%s: %.1f of %.1f MiB free, %llu more files\n", base, mebibytes((uint64_t)st.f_bavail * st.f_frsize),
               mebibytes((uint64_t)st.f_blocks * st.f_frsize), (unsigned long long)st.f_favail);
    find_homes(&h, fd, NULL, by_sandbox);
    print_homes(&h);
    for (size_t i = 0; i < h.n; i++)
        free(h.list[i].name);
    free(h.list);
    return 0;
}

int command_usage(const struct config *c, int argc, char **argv)
{
    struct layout *l = layout_new(c);
    struct error *err = NULL;

    /* Without root, homes belong to ids that only Podman's namespace may look at. */
    l->rootless = rootless_find();
    int rc = rootless_enter(l->rootless, &err);
    layout_free(l);
    if (rc < 0 || print_base(c->workspace_path, true, &err) < 0 || print_base(c->jupyter_lab_base, false, &err) < 0 ||
        print_base(c->vscode_base, false, &err) < 0)
        return command_fail(err);
    return 0;
}
