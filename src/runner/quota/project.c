#include "runner/quota/project.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/io.h"
#include "base/str.h"
#include "runner/quota/count.h"

#define LIMIT_UNIT 1024 /* of dqb_bhardlimit */

static int quotactl_at(int fd, unsigned command, uint32_t id, void *data)
{
    return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, data);
}

/* --- What the file system says --- */

bool project_quotas_at(int fd)
{
    const unsigned both = FS_QUOTA_PDQ_ACCT | FS_QUOTA_PDQ_ENFD;
    struct fs_quota_statv s = {.qs_version = FS_QSTATV_VERSION1};

    return quotactl_at(fd, Q_XGETQSTATV, 0, &s) == 0 && (s.qs_flags & both) == both;
}

int project_limit(int fd, uint32_t id, uint64_t bytes, struct error **err)
{
    struct if_dqblk q = {.dqb_bhardlimit = (bytes + LIMIT_UNIT - 1) / LIMIT_UNIT, .dqb_valid = QIF_BLIMITS};

    if (quotactl_at(fd, Q_SETQUOTA, id, &q) < 0)
        return error_errno(err, errno, "set the limit of project %u", id);
    return 0;
}

/* ext4 knows of no project that has neither files nor a limit. */
int project_use(int fd, uint32_t id, struct project_use *out, struct error **err)
{
    struct if_dqblk q = {0};

    if (quotactl_at(fd, Q_GETQUOTA, id, &q) < 0 && errno != ENOENT && errno != ESRCH)
        return error_errno(err, errno, "use of project %u", id);
    *out = (struct project_use){q.dqb_curspace, q.dqb_curinodes, q.dqb_bhardlimit * LIMIT_UNIT};
    return 0;
}

/* --- Numbers of files --- */

static bool bears(const struct fsxattr *x, uint32_t id, bool folder)
{
    return x->fsx_projid == id && (!folder || (x->fsx_xflags & FS_XFLAG_PROJINHERIT));
}

bool project_is_marked(int folder, uint32_t id)
{
    struct fsxattr x;
    return ioctl(folder, FS_IOC_FSGETXATTR, &x) == 0 && bears(&x, id, true);
}

static int mark(int fd, uint32_t id, bool folder)
{
    struct fsxattr x;

    if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
        return -1;
    if (bears(&x, id, folder))
        return 0;
    x.fsx_projid = id;
    if (folder)
        x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(fd, FS_IOC_FSSETXATTR, &x);
}

struct marking {
    uint32_t id;
    const struct pace *pace;
    bool enough;
};

static void mark_folder(struct marking *m, int fd, unsigned depth);

/* Of what is neither file nor folder nothing but a name is there. */
static void mark_entry(struct marking *m, int folder, const char *name, unsigned depth)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    bool is_folder = S_ISDIR(st.st_mode);
    if (!is_folder && !S_ISREG(st.st_mode))
        return;
    _cleanup_close_ int fd =
        open_beneath_unmounted(folder, name, O_RDONLY | O_NONBLOCK | (is_folder ? O_DIRECTORY : 0));
    if (fd < 0)
        return;
    if (!is_folder)
        (void)mark(fd, m->id, false); /* one that may not be changed (chattr +i) */
    else if (depth < COUNT_DEEPEST && !project_is_marked(fd, m->id))
        mark_folder(m, fd, depth + 1);
}

static void mark_folder(struct marking *m, int fd, unsigned depth)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *e;

    if (d == NULL) {
        if (again >= 0)
            close(again);
        return;
    }
    while (!m->enough && (e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        m->enough = pace_step(m->pace) < 0;
        if (!m->enough)
            mark_entry(m, dirfd(d), e->d_name, depth);
    }
    closedir(d);
    if (!m->enough)
        (void)mark(fd, m->id, true);
}

int project_mark(int folder, uint32_t id, const struct pace *pace, struct error **err)
{
    struct marking m = {.id = id, .pace = pace};

    if (project_is_marked(folder, id))
        return 1;
    mark_folder(&m, folder, 0);
    if (m.enough)
        return 0;
    if (project_is_marked(folder, id))
        return 1;
    return error_errno(err, errno, "number of a project for a home");
}
