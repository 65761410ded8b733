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

static int open_below(int folder, const char *name, int flags)
{
    return open_beneath(folder, name, flags | O_DIRECTORY, 0);
}

/* A folder of ours that nobody else can change: only we may put names into it. */
static int open_private(int parent, const char *name, struct error **err)
{
    struct stat st;

    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "create folder %s", name);
    _cleanup_close_ int fd = open_below(parent, name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open folder %s", name);
    if (st.st_uid != geteuid())
        return error_set(err, REASON_FORBIDDEN,
                         "folder %s belongs to uid %u; homes are kept only in a folder of the runner's own", name,
                         st.st_uid);
    /* Homes keep their privacy even where their parent was made by somebody less careful. */
    if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
        return error_errno(err, errno, "chmod %s", name);
    return steal_fd(fd);
}

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

static int check_owner(const struct home_options *o, int fd, struct error **err)
{
    struct stat st;

    if (!o->chown)
        return 0;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "home of %s", o->user);
    if (is_owner(o, st.st_uid))
        return 0;
    if (is_half_made(&st, fd)) {
        if (fchown(fd, o->owner, o->owner) < 0)
            return error_errno(err, errno, "chown the home of %s", o->user);
        return 0;
    }
    return error_set(err, REASON_FORBIDDEN,
                     "the home of %s belongs to uid %u, which is not in that user's range of host ids (%u to %u)",
                     o->user, st.st_uid, o->range_first, o->range_first + o->range_size - 1);
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
    _cleanup_close_ int fd = open_below(in, name, O_RDONLY);

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

int home_open(const struct home_options *o, struct error **err)
{
    _cleanup_close_ int base = open_base(o, err);
    if (base < 0)
        return -1;
    _cleanup_close_ int sandbox = o->sandbox ? open_private(base, o->sandbox, err) : -1;
    if (o->sandbox && sandbox < 0)
        return error_wrap(err, "%s", o->base);
    int parent = o->sandbox ? sandbox : base;

    bool fresh = mkdirat(parent, o->user, 0700) == 0;
    if (!fresh && errno != EEXIST)
        return error_errno(err, errno, "create the home of %s", o->user);
    _cleanup_close_ int home = open_below(parent, o->user, O_RDONLY);
    if (home < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EXDEV))
        return error_set(err, REASON_FORBIDDEN, "the home of %s is no folder but something else", o->user);
    if (home < 0)
        return error_errno(err, errno, "open the home of %s", o->user);
    if (check_owner(o, home, err) < 0)
        return -1;
    for (size_t i = 0; i < o->folders_len; i++)
        make_folders(o, home, o->folders[i]);
    return steal_fd(home);
}
