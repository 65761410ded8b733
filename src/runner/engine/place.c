#include "runner/engine/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

/* Linux 5.10; glibc 2.36 lacks both names. */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif
#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW)
#define HOME_SUFFIX ".home"
#define LOG_SUFFIX ".log"
#define PORTS_SUFFIX ".ports"
#define SHARED_FLAGS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const char *const shared_suffixes[] = {
    [PLACE_DATA_SET] = ".data", [PLACE_COURSE] = ".course", [PLACE_WHEELS] = ".wheels"};

void place_name(char out[static PLACE_NAME_SIZE], const char *instance)
{
    /* libsodium's least is 16 bytes; half of them are enough for a name. */
    unsigned char hash[crypto_generichash_BYTES_MIN];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)instance, strlen(instance), NULL, 0);
    sodium_bin2hex(out, PLACE_NAME_SIZE, hash, (PLACE_NAME_SIZE - 1) / 2);
}

int place_prepare_root(const char *root, gid_t gateway, struct error **err)
{
    if (make_directory(root, 0710, err) < 0)
        return -1;
    if (geteuid() == 0 && chown(root, 0, gateway) < 0)
        return error_errno(err, errno, "chown %s", root);
    if (chmod(root, 0710) < 0)
        return error_errno(err, errno, "chmod %s", root);
    return 0;
}

static bool is_mount(const char *path)
{
    struct statx x;
    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) == 0 &&
           (x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* Old kernels take the flag and ignore it, so that only the mounted thing says whether it holds. */
static bool is_guarded(const char *path)
{
    struct statfs fs;
    return is_mount(path) && statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC && (fs.f_flags & ST_NOSYMFOLLOW);
}

static int unmount_all(const char *path, struct error **err)
{
    while (is_mount(path))
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return error_errno(err, errno, "unmount %s", path);
    return 0;
}

static int make_folder(const char *path, struct error **err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "create folder %s", path);
    return 0;
}

static int refuse_without_mounts(struct error **err)
{
    return error_set(err, REASON_FORBIDDEN,
                     "the runner may not mount (it is neither root nor in Podman's user namespace; its log says why): "
                     "without a mount of its own, guarded against links, one environment could reach another's socket, "
                     "so none is started");
}

static int mount_socket(const struct place_options *o, const char *path, struct error **err)
{
    _cleanup_free_ char *data = xasprintf("size=64k,nr_inodes=16,mode=0710,uid=%u,gid=%u", o->owner, o->gateway);

    if (mount("tmpfs", path, "tmpfs", FLAGS, data) < 0)
        return errno == EPERM ? refuse_without_mounts(err)
                              : error_errno(err, errno, "mount the directory of the environment's socket");
    if (is_guarded(path) || (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | FLAGS, NULL) == 0 && is_guarded(path)))
        return 0;
    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    return error_set(
        err, REASON_FORBIDDEN,
        "this kernel cannot mount with nosymfollow (Linux 5.10 can): without it one environment could reach another's "
        "socket by a link, so none is started");
}

int place_ensure_socket(const struct place_options *o, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", o->root, o->name);

    if (is_guarded(path))
        return 0;
    if (make_folder(path, err) < 0)
        return -1;
    if (unmount_all(path, err) < 0)
        return -1;
    return mount_socket(o, path, err) < 0 ? -1 : 1;
}

bool place_has_socket(const char *root, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, name);
    return is_guarded(path);
}

char *place_ports_path(struct arena *a, const char *root, const char *name)
{
    return arena_printf(a, "%s/%s" PORTS_SUFFIX, root, name);
}

/* What one before left in it must not be taken for this one's. */
int place_ensure_ports(const struct place_options *o, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *path = place_ports_path(a, o->root, o->name);

    if (make_folder(path, err) < 0 || unmount_all(path, err) < 0)
        return -1;
    return mount_socket(o, path, err);
}

bool place_has_ports(const char *root, const char *name)
{
    _cleanup_arena_ struct arena *a = arena_new();
    return is_guarded(place_ports_path(a, root, name));
}

static bool same_folder(const char *path, int fd)
{
    struct stat a, b;
    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int place_ensure_home(const char *root, const char *name, int home, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s" HOME_SUFFIX, root, name);
    _cleanup_free_ char *source = xasprintf("/proc/self/fd/%d", home);

    if (make_folder(path, err) < 0)
        return -1;
    if (is_mount(path) && same_folder(path, home))
        return 0;
    if (unmount_all(path, err) < 0)
        return -1;
    if (mount(source, path, NULL, MS_BIND, NULL) < 0)
        return error_errno(err, errno, "bind the home");
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL) < 0)
        return error_errno(err, errno, "bind the home");
    return 0;
}

bool place_shows_home(const char *root, int home)
{
    DIR *d = opendir(root);
    const struct dirent *e;
    bool found = false;

    while (d && !found && (e = readdir(d))) {
        _cleanup_free_ char *path = ends_with(e->d_name, HOME_SUFFIX) ? xasprintf("%s/%s", root, e->d_name) : NULL;
        found = path && same_folder(path, home);
    }
    if (d)
        closedir(d);
    return found;
}

char *place_home_path(struct arena *a, const char *root, const char *name)
{
    return arena_printf(a, "%s/%s" HOME_SUFFIX, root, name);
}

char *place_shared_path(struct arena *a, const char *root, const char *name, enum place_shared what)
{
    return arena_printf(a, "%s/%s%s", root, name, shared_suffixes[what]);
}

/* The flags of a bind mount are those of its top alone: what is mounted below would keep its own, writable and setuid.
 * A copy of all mounts gets them before it has a place where anybody finds it. */
static int clone_shared(const char *source, struct error **err)
{
    struct mount_attr attr = {.attr_set = SHARED_FLAGS, .propagation = MS_PRIVATE};
    _cleanup_close_ int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (tree < 0)
        return error_errno(err, errno, "open the mounts of %s", source);
    if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return errno == ENOSYS ? error_set(err, REASON_FORBIDDEN,
                                           "this kernel cannot make %s read-only with all that is mounted below it "
                                           "(Linux 5.12 can), so no environment gets it",
                                           source)
                               : error_errno(err, errno, "make the mounts of %s read-only", source);
    return steal_fd(tree);
}

int place_ensure_shared(const char *root, const char *name, enum place_shared what, const char *source,
                        struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *path = place_shared_path(a, root, name, what);
    _cleanup_close_ int tree = clone_shared(source, err);

    if (tree < 0 || make_folder(path, err) < 0 || unmount_all(path, err) < 0)
        return -1;
    if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errno(err, errno, "mount %s", source);
    return 0;
}

char *place_log_path(struct arena *a, const char *root, const char *name)
{
    return arena_printf(a, "%s/%s" LOG_SUFFIX, root, name);
}

/* Twice the log's size: the new one is begun beside the old one. */
int place_ensure_log(const char *root, const char *name, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *path = place_log_path(a, root, name);

    if (make_folder(path, err) < 0 || unmount_all(path, err) < 0)
        return -1;
    if (mount("tmpfs", path, "tmpfs", FLAGS, "size=3m,nr_inodes=16,mode=0700") < 0)
        return error_errno(err, errno, "mount room for the environment's log");
    return 0;
}

static int remove_one(const char *path, struct error **err)
{
    if (unmount_all(path, err) < 0)
        return -1;
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    /* Something lies in it although nothing is mounted: it was never one of ours in use. A home is never emptied. */
    return error_errno(err, errno, "remove %s", path);
}

int place_remove_socket(const char *root, const char *name, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, name);
    return remove_one(path, err);
}

int place_remove(const char *root, const char *name, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_SIZE(shared_suffixes); i++)
        if (remove_one(place_shared_path(a, root, name, (enum place_shared)i), err) < 0)
            return -1;
    if (remove_one(arena_printf(a, "%s/%s" HOME_SUFFIX, root, name), err) < 0 ||
        remove_one(place_log_path(a, root, name), err) < 0 || remove_one(place_ports_path(a, root, name), err) < 0)
        return -1;
    return place_remove_socket(root, name, err);
}

static size_t stem_length(const char *name)
{
    size_t n = strlen(name);

    if (ends_with(name, HOME_SUFFIX))
        return n - strlen(HOME_SUFFIX);
    if (ends_with(name, LOG_SUFFIX))
        return n - strlen(LOG_SUFFIX);
    if (ends_with(name, PORTS_SUFFIX))
        return n - strlen(PORTS_SUFFIX);
    for (size_t i = 0; i < ARRAY_SIZE(shared_suffixes); i++)
        if (ends_with(name, shared_suffixes[i]))
            return n - strlen(shared_suffixes[i]);
    return n;
}

static bool is_place_name(const char *name, size_t n)
{
    if (n != PLACE_NAME_SIZE - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!ascii_isdigit(name[i]) && !(name[i] >= 'a' && name[i] <= 'f'))
            return false;
    return true;
}

static bool is_listed(char *const *list, size_t len, const char *name, size_t n)
{
    for (size_t i = 0; i < len; i++)
        if (strncmp(list[i], name, n) == 0)
            return true;
    return false;
}

size_t place_list(const char *root, char ***out)
{
    DIR *d = opendir(root);
    struct dirent *e;
    size_t len = 0;

    *out = NULL;
    while (d && (e = readdir(d))) {
        size_t n = stem_length(e->d_name);
        if (!is_place_name(e->d_name, n) || is_listed(*out, len, e->d_name, n))
            continue;
        *out = xreallocarray(*out, len + 1, sizeof(char *));
        (*out)[len++] = xstrndup(e->d_name, n);
    }
    if (d)
        closedir(d);
    return len;
}
