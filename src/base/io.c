#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/buffer.h"

char *read_file(const char *path, size_t max, size_t *n, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(max);
    char piece[16384];
    ssize_t got;

    if (fd < 0) {
        error_errno(err, errno, "open %s", path);
        return NULL;
    }
    while ((got = read(fd, piece, sizeof(piece))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_errno(err, errno, "read %s", path);
            return NULL;
        }
        buffer_append(&b, piece, (size_t)got);
        if (b.overflow) {
            error_set(err, REASON_INVALID, "%s is larger than %zu bytes", path, max);
            return NULL;
        }
    }
    if (n)
        *n = b.n;
    return buffer_steal(&b);
}

int write_all(int fd, const void *p, size_t n, struct error **err)
{
    const char *at = p;

    while (n) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(err, errno, "write");
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

static int sync_parent(const char *path, struct error **err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    const char *parent = dirname(copy);
    _cleanup_close_ int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "sync %s", parent);
    return 0;
}

static int write_synced(const char *path, struct str content, mode_t mode, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return error_errno(err, errno, "create %s", path);
    if (fchmod(fd, mode) < 0)
        return error_errno(err, errno, "chmod %s", path);
    if (write_all(fd, content.p, content.n, err) < 0)
        return error_wrap(err, "%s", path);
    if (fsync(fd) < 0)
        return error_errno(err, errno, "sync %s", path);
    return 0;
}

int write_file_atomic(const char *path, struct str content, mode_t mode, struct error **err)
{
    _cleanup_free_ char *temporary = xasprintf("%s.new", path);

    unlink(temporary);
    if (write_synced(temporary, content, mode, err) < 0) {
        unlink(temporary);
        return -1;
    }
    if (rename(temporary, path) < 0) {
        error_errno(err, errno, "rename %s", path);
        unlink(temporary);
        return -1;
    }
    return sync_parent(path, err);
}

/* Returns 1 where it was there. What is to be kept in it is lost with its name, so that the name is on disk first. */
static int make_one(const char *path, mode_t mode, struct error **err)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 1 : error_errno(err, errno, "create folder %s", path);
    /* Whatever the umask is: others may have to go through. */
    if (chmod(path, mode) < 0)
        return error_errno(err, errno, "chmod %s", path);
    return sync_parent(path, err);
}

int make_directory(const char *path, mode_t mode, struct error **err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (make_one(copy, 0755, err) < 0)
            return -1;
        *at = '/';
    }
    int rc = make_one(copy, mode, err);
    if (rc <= 0)
        return rc;
    if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_errno(err, ENOTDIR, "%s", copy);
    return 0;
}

bool path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool has_entry(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    bool found = false;

    while (d && !found && (e = readdir(d)))
        found = e->d_name[0] != '.';
    if (d)
        closedir(d);
    return found;
}

int listen_unix(const char *path, mode_t mode, struct error **err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(addr.sun_path))
        return error_set(err, REASON_INVALID, "%s: a socket's path holds at most %zu bytes", path,
                         sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, strlen(path) + 1);
    if (fd < 0)
        return error_errno(err, errno, "socket");
    unlink(path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return error_errno(err, errno, "bind %s", path);
    if (chmod(path, mode) < 0)
        return error_errno(err, errno, "chmod %s", path);
    if (listen(fd, SOMAXCONN) < 0)
        return error_errno(err, errno, "listen on %s", path);
    return steal_fd(fd);
}
