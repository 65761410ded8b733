#include "runner/relay/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/* Where Debian and its kin keep the dynamic loader, libraries, and the program itself. */
static const char *const library_folders[] = {"/usr", "/usr/lib", "/usr/lib64", "/lib", "/lib64"};

static int copy_link(const char *from, const char *to, struct error **err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof(target) - 1);

    if (n < 0)
        return error_errno(err, errno, "read %s", from);
    target[n] = '\0';
    return symlink(target, to) < 0 ? error_errno(err, errno, "create %s", to) : 0;
}

/* That folder alone, without what is mounted below it. */
static int show_folder(const char *from, const char *to, struct error **err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                              .propagation = MS_PRIVATE};
    _cleanup_close_ int tree = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return errno == ENOSYS
                   ? error_set(err, REASON_FORBIDDEN, "this kernel cannot show a folder read-only (Linux 5.12 can)")
                   : error_errno(err, errno, "mount %s", from);
    return 0;
}

static int show(const char *from, const char *root, struct error **err)
{
    _cleanup_free_ char *to = xasprintf("%s%s", root, from);
    struct stat st;

    if (lstat(from, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode))
        return copy_link(from, to, err);
    if (mkdir(to, 0755) < 0 || chmod(to, 0755) < 0) /* whatever is masked */
        return error_errno(err, errno, "create folder %s", to);
    return streq(from, "/usr") ? 0 : show_folder(from, to, err);
}

void relay_root_remove(const char *path)
{
    for (int i = 0; i < 16 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
        ;
    rmdir(path);
}

static int fill(const char *path, struct error **err)
{
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,nr_inodes=32,mode=0755") < 0 ||
        mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
        return error_errno(err, errno, "mount %s", path);
    for (size_t i = 0; i < ARRAY_SIZE(library_folders); i++)
        if (show(library_folders[i], path, err) < 0)
            return -1;
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
        return error_errno(err, errno, "make %s read-only", path);
    return 0;
}

int relay_root_make(const char *path, struct error **err)
{
    relay_root_remove(path);
    if (make_directory(path, 0700, err) < 0)
        return -1;
    if (fill(path, err) < 0) {
        relay_root_remove(path);
        return error_wrap(err, "what a relay sees of this machine");
    }
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_errno(err, errno, "open %s", path) : fd;
}
