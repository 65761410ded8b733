#include "runner/relay/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#define BACKLOG 512
#define START_MS 10000
#define FILES (6 * RELAY_CONNECTIONS + 64) /* of a connection two sockets and two pipes */
#define NUMBER_SIZE 12

const char *relay_program(void)
{
    static const char *const paths[] = {"/usr/lib/systemd/systemd-socket-proxyd", "/lib/systemd/systemd-socket-proxyd"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    return NULL;
}

/* All that is used after the fork, where nothing but system calls may be made: other threads may have held any lock. */
struct child {
    const struct relay_launch *l;
    const char *program;
    char *const *argv;
    int listener, nowhere, said;
};

/* What failed, as it is told to who waits. */
struct failure {
    char what[32];
    int number;
};

static _Noreturn void fail(const struct child *c, const char *what)
{
    struct failure f = {.number = errno};

    for (size_t i = 0; what[i] && i < sizeof(f.what) - 1; i++)
        f.what[i] = what[i];
    ssize_t ignored _unused_ = write(c->said, &f, sizeof(f));
    _exit(127);
}

/* --- In the process that becomes a relay --- */

static void change_place(const struct child *c)
{
    if (setns(c->l->process, CLONE_NEWNET | CLONE_NEWPID) < 0)
        fail(c, "enter its namespaces");
    if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        fail(c, "make namespaces");
    if (fchdir(c->l->root) < 0 || chroot(".") < 0)
        fail(c, "change root");
}

static void set_limits(const struct child *c)
{
    const struct rlimit files = {FILES, FILES}, none = {0, 0};

    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
        fail(c, "limit files");
}

/* By the system's calls: the library's own would look for other threads. */
static void drop_privileges(const struct child *c)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    uid_t id = c->l->user;

    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            fail(c, "drop capabilities");
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
        syscall(SYS_setresuid, id, id, id) < 0)
        fail(c, "change user");
    if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(c, "drop privileges");
}

/* The socket is the one inherited descriptor, at the place where the program looks for it. */
static void arrange_files(const struct child *c)
{
    int said = fcntl(c->said, F_DUPFD_CLOEXEC, 10), listener = fcntl(c->listener, F_DUPFD_CLOEXEC, 10);

    for (int fd = 0; fd < 3; fd++)
        if (dup2(c->nowhere, fd) < 0)
            fail(c, "arrange files");
    if (said < 0 || listener < 0 || dup2(listener, 3) < 0 ||
        syscall(SYS_close_range, 4, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */) < 0)
        fail(c, "arrange files");
}

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void write_number(char *at, pid_t n)
{
    char digits[NUMBER_SIZE];
    size_t len = 0;

    for (; n > 0; n /= 10)
        digits[len++] = (char)('0' + n % 10);
    while (len)
        *at++ = digits[--len];
    *at = '\0';
}

/* It is the first that calls listen(): by that it is found (find.c). */
static _Noreturn void become_relay(const struct child *c)
{
    char pid[sizeof("LISTEN_PID=") + NUMBER_SIZE] = "LISTEN_PID=";
    char files[] = "LISTEN_FDS=1", log[] = "SYSTEMD_LOG_TARGET=null";
    char *const environment[] = {files, pid, log, NULL};

    write_number(pid + strlen(pid), getpid());
    setsid();
    reset_signals();
    if (listen(c->listener, BACKLOG) < 0)
        fail(c, "listen");
    arrange_files(c);
    execve(c->program, c->argv, environment);
    fail(c, "start the program");
}

/* Its parent ends at once, so that the first process in there becomes its parent. */
static _Noreturn void start_apart(const struct child *c)
{
    pid_t pid = _Fork();

    if (pid == 0)
        become_relay(c);
    _exit(pid < 0 ? 126 : 0);
}

static _Noreturn void enter(const struct child *c)
{
    int status;

    change_place(c);
    set_limits(c);
    drop_privileges(c);
    pid_t pid = _Fork();
    if (pid == 0)
        start_apart(c);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail(c, "start a process in there");
    _exit(0);
}

/* --- In the runner --- */

static int bind_socket(const struct relay_launch *l, struct error **err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(l->socket) >= sizeof(a.sun_path))
        return error_errno(err, fd < 0 ? errno : ENAMETOOLONG, "make %s", l->socket);
    memcpy(a.sun_path, l->socket, strlen(l->socket) + 1);
    unlink(l->socket);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(l->socket, 0660) < 0 ||
        (geteuid() == 0 && lchown(l->socket, 0, l->gateway) < 0))
        return error_errno(err, errno, "make %s", l->socket);
    return steal_fd(fd);
}

/* Until the program runs, which closes the other end, or something failed. */
static int hear(int said, pid_t pid, struct error **err)
{
    struct pollfd wait = {.fd = said, .events = POLLIN};
    struct failure f = {0};

    if (poll(&wait, 1, START_MS) == 0)
        kill(pid, SIGKILL);
    ssize_t n = wait.revents ? read(said, &f, sizeof(f)) : -1;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n == 0)
        return 0;
    if (n != sizeof(f))
        return error_errno(err, wait.revents ? EPROTO : ETIMEDOUT, "start a relay");
    f.what[sizeof(f.what) - 1] = '\0';
    return error_errno(err, f.number, "start a relay: %s", f.what);
}

static int start(struct child *c, struct error **err)
{
    int said[2];

    if (pipe2(said, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    c->said = said[1];
    pid_t pid = fork();
    if (pid == 0)
        enter(c);
    close(said[1]);
    int rc = pid < 0 ? error_errno(err, errno, "start a relay") : hear(said[0], pid, err);
    close(said[0]);
    return rc;
}

int relay_launch(const struct relay_launch *l, struct error **err)
{
    _cleanup_free_ char *most = xasprintf("--connections-max=%d", RELAY_CONNECTIONS), *address = xstrdup(l->address);
    const char *program = relay_program();
    char idle[] = "--exit-idle-time=infinity", name[] = "systemd-socket-proxyd";
    char *const argv[] = {name, most, idle, address, NULL};

    if (program == NULL)
        return error_set(err, REASON_FORBIDDEN, "there is no " RELAY_PACKAGE);
    _cleanup_close_ int listener = bind_socket(l, err);
    _cleanup_close_ int nowhere = listener < 0 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (listener < 0)
        return -1;
    if (nowhere < 0)
        return error_errno(err, errno, "open /dev/null");
    struct child c = {.l = l, .program = program, .argv = argv, .listener = listener, .nowhere = nowhere};
    return start(&c, err);
}
