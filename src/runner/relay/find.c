#include "runner/relay/find.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/* Who called listen(), in our own numbers. */
static pid_t listener_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct ucred who = {0};
    socklen_t n = sizeof(who);

    if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
        return 0;
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
        return 0;
    return who.pid;
}

/* Read after the descriptor was taken, of a process that is not over: it is the same one's. */
static bool belongs_to(pid_t pid, int fd, uid_t user)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d", (int)pid);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    struct stat st;

    return stat(path, &st) == 0 && st.st_uid == user && poll(&ended, 1, 0) == 0;
}

struct relay_process relay_find(const char *socket, uid_t user)
{
    pid_t pid = listener_of(socket);
    _cleanup_close_ int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (fd < 0 || !belongs_to(pid, fd, user))
        return (struct relay_process){0, -1};
    return (struct relay_process){pid, steal_fd(fd)};
}
