#include "cli/content_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cli/repair.h"

#define OWN ".open-hydra"
#define SHARED_MODE (S_ISVTX | S_IWGRP | S_IXGRP | S_IRGRP)

static bool is_read_only(const char *path)
{
    struct statvfs st;

    return statvfs(path, &st) == 0 && (st.f_flag & ST_RDONLY);
}

static int share_with_server(int fd, const struct stat *st, uid_t server, struct error **err)
{
    if (st->st_uid == server || geteuid() != 0)
        return 0;
    if (st->st_gid != 0 && st->st_gid != server)
        return error_set(
            err, REASON_FORBIDDEN,
            "it belongs to group %u: let the server, user %u, write in it (setfacl -m u:%u:rwx), or give it to group 0",
            (unsigned)st->st_gid, (unsigned)server, (unsigned)server);
    if (st->st_gid != server && fchown(fd, (uid_t)-1, server) < 0)
        return error_errno(err, errno, "chown");
    /* A change of the group takes set-id bits away, and no others. */
    mode_t mode = (st->st_mode & 07777) | SHARED_MODE;
    return (st->st_mode & 07777) != mode && fchmod(fd, mode) < 0 ? error_errno(err, errno, "chmod") : 0;
}

/* What root brought back from a copy in it goes to the server. */
static int make_own(int folder, uid_t server, struct error **err)
{
    struct stat st;

    if (mkdirat(folder, OWN, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make " OWN);
    _cleanup_close_ int own = openat(folder, OWN, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (own < 0 || fstat(own, &st) < 0)
        return error_errno(err, errno, "open " OWN);
    if (st.st_uid != server && geteuid() == 0 && fchown(own, server, server) < 0)
        return error_errno(err, errno, "chown " OWN);
    const struct owner o = {st.st_uid, server, server};
    return geteuid() == 0 ? repair_owners(own, &o, err) : 0;
}

static int give_to_server(int fd, uid_t server, struct error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "stat");
    if (geteuid() == 0 && (st.st_uid != server || st.st_gid != server) && fchown(fd, server, server) < 0)
        return error_errno(err, errno, "chown");
    return (st.st_mode & 07777) != 0755 && fchmod(fd, 0755) < 0 ? error_errno(err, errno, "chmod") : 0;
}

static int make_folder(const char *path, bool ours, uid_t server, struct error **err)
{
    bool was_there = path_exists(path);
    struct stat st;

    if (make_directory(path, 0755, err) < 0)
        return -1;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open");
    int rc = ours || !was_there ? give_to_server(fd, server, err) : share_with_server(fd, &st, server, err);
    return rc < 0 ? -1 : make_own(fd, server, err);
}

void content_folder_make(const char *path, const char *key, bool ours, uid_t server)
{
    _cleanup_error_ struct error *err = NULL;

    if (make_folder(path, ours, server, &err) == 0)
        return;
    log_warning("nothing can be uploaded into %s (%s): %s%s", path, key, err->message,
                is_read_only(path) ? " (it is read-only here; under systemd, name it in ReadWritePaths= of "
                                     "open-hydra-server.service: systemctl edit)"
                                   : "");
}
