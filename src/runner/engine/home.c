#include "runner/engine/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/io.h"
#include "base/str.h"
#include "runner/engine/skeleton.h"
#include "runner/homes/private.h"

static int open_base(const struct home_options *o, struct error **err)
{
    struct stat st;

    if (make_directory(o->base, 0700, err) < 0)
        return -1;
    _cleanup_close_ int fd = open(o->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open %s", o->base);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, REASON_FORBIDDEN,
                         "%s must belong to uid %u and be writable for nobody else: homes are kept in it", o->base,
                         geteuid());
    return steal_fd(fd);
}

static bool is_empty(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned n = 0;

    if (d == NULL)
        return false;
    while (readdir(d))
        n++;
    closedir(d);
    return n <= 2;
}

static bool is_owner(const struct home_options *o, uid_t uid)
{
    return uid == o->owner || (uid >= o->range_first && uid - o->range_first < o->range_size);
}

/* Made by us and not given away: we were killed in between. One that somebody else made for another end, /srv/www for
 * a user called www, has other modes. */
static bool is_half_made(const struct stat *st, int fd)
{
    return st->st_uid == geteuid() && (st->st_mode & 07777) == 0700 && is_empty(fd);
}

/* Whose a home is says its place. But for a folder that others may enter, made for another end perhaps: /srv for a base,
 * and in it /srv/www. */
static bool may_mend(int parent, const struct home_record *record)
{
    struct stat st;
    return *record->uid && fstat(parent, &st) == 0 && (st.st_mode & 077) == 0;
}

static int check_owner(const struct home_options *o, struct home *h, struct error **err)
{
    const struct mend_order order = home_mend_order(o, h);
    struct stat st;

    if (!o->chown)
        return 0;
    if (fstat(h->fd, &st) < 0)
        return error_errno(err, errno, "home of %s", o->user);
    if (!is_owner(o, st.st_uid) && is_half_made(&st, h->fd)) {
        if (fchown(h->fd, o->owner, o->owner) < 0)
            return error_errno(err, errno, "chown the home of %s", o->user);
        return 0;
    }
    h->mend = mend_is_needed(h->fd, &order) && may_mend(h->parent, &h->record);
    if (h->mend || is_owner(o, st.st_uid))
        return 0;
    const char *remedy =
        *h->record.uid ? "it lies in a folder that others may enter: chmod 0700 on that folder says that it holds "
                         "homes alone, which are given to their users"
                       : "this environment was made before any said whose the home is: delete it and create it "
                         "again, and the home is given to its user";
    return error_set(
        err, REASON_FORBIDDEN,
        "the home of %s belongs to uid %u, which is not in that user's range of host ids (%u to %u), and %s", o->user,
        st.st_uid, o->range_first, o->range_first + o->range_size - 1, remedy);
}

/* What is root's may have been put there under another name, and be renamed by whoever owns the folder around it. */
static bool is_their_own(const struct home_options *o, int fd)
{
    struct stat st;
    return !o->chown || (fstat(fd, &st) == 0 && is_owner(o, st.st_uid));
}

/* Where there is none, with the owner's id. A descriptor of it; negative: what is there is no such folder. */
static int make_folder(const struct home_options *o, int in, const char *name)
{
    bool fresh = is_their_own(o, in) && mkdirat(in, name, 0700) == 0;
    _cleanup_close_ int fd = open_beneath(in, name, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0 || (fresh && o->chown && fchown(fd, o->owner, o->owner) < 0))
        return -1;
    return steal_fd(fd);
}

/* What the student made of these names is left as it is. */
static void make_folders(const struct home_options *o, int home, const char *path)
{
    struct str rest = str_from(path), part;
    _cleanup_close_ int in = fcntl(home, F_DUPFD_CLOEXEC, 0);

    while (in >= 0 && str_split(&rest, '/', &part)) {
        _cleanup_free_ char *name = xstrndup(part.p, part.n);
        int next = make_folder(o, in, name);
        close(in);
        in = next;
    }
}

/* A descriptor of the folder that homes lie side by side in. */
static int open_parent(const struct home_options *o, struct error **err)
{
    _cleanup_close_ int base = open_base(o, err);

    if (base < 0 || o->sandbox == NULL)
        return steal_fd(base);
    int parent = open_private(base, o->sandbox, err);
    return parent < 0 ? error_wrap(err, "%s", o->base) : parent;
}

static int settle(const struct home_options *o, struct home *h, struct error **err)
{
    const struct home_claim claim = {o->user, o->uid, {o->range_first, o->range_size}, o->former};
    return o->uid ? whose_settle(h->parent, &claim, &h->record, h->kept, err) : 0;
}

static int copy_skeleton(const struct home_options *o, const struct home *h, struct error **err)
{
    const struct skeleton skeleton = {o->skeleton, o->user, o->owner, o->chown};
    return o->skeleton ? skeleton_copy(&skeleton, h->parent, err) : 0;
}

/* Copied under the lock is what a home begins with whose former one has just been set aside. */
static int place_skeleton(const struct home_options *o, const struct home *h, int copied, struct error **err)
{
    const struct skeleton skeleton = {o->skeleton, o->user, o->owner, o->chown};

    if (!copied)
        copied = copy_skeleton(o, h, err);
    return copied > 0 ? skeleton_place(&skeleton, h->parent, err) : copied;
}

static int open_or_make(const struct home_options *o, struct home *h, int copied, struct error **err)
{
    if (place_skeleton(o, h, copied, err) < 0)
        return -1;
    if (mkdirat(h->parent, o->user, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "create the home of %s", o->user);
    h->fd = open_beneath(h->parent, o->user, O_RDONLY | O_DIRECTORY, 0);
    if (h->fd < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EXDEV))
        return error_set(err, REASON_FORBIDDEN, "the home of %s is no folder but something else", o->user);
    return h->fd < 0 ? error_errno(err, errno, "open the home of %s", o->user) : 0;
}

struct mend_order home_mend_order(const struct home_options *o, const struct home *h)
{
    return (struct mend_order){.owner = o->owner, .ids = {o->range_first, o->range_size}, .from = h->record.seen};
}

void home_close(struct home *h)
{
    if (h->fd >= 0)
        close(h->fd);
    if (h->parent >= 0)
        close(h->parent);
    h->fd = h->parent = -1;
}

bool home_is_in_place(const struct home *h, const char *user)
{
    struct stat a, b;

    return fstatat(h->parent, user, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(h->fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

void home_make_folders(const struct home_options *o, const struct home *h)
{
    for (size_t i = 0; i < o->folders_len; i++)
        make_folders(o, h->fd, o->folders[i]);
}

int home_open(const struct home_options *o, struct home *out, int *lock, struct error **err)
{
    _cleanup_home_ struct home h = {.fd = -1, .parent = open_parent(o, err)};
    int copied = h.parent < 0 ? -1 : copy_skeleton(o, &h, err);
    _cleanup_close_ int held = copied < 0 ? -1 : homes_lock(h.parent, err);

    if (held < 0 || settle(o, &h, err) < 0 || open_or_make(o, &h, copied, err) < 0 || check_owner(o, &h, err) < 0)
        return -1;
    *out = h;
    h.fd = h.parent = -1;
    *lock = steal_fd(held);
    return 0;
}
