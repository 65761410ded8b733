#include "cli/nginx.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/become.h"
#include "cli/listeners.h"
#include "cli/nginx_log.h"
#include "server/gateway/gateway.h"

#define MAX_PORTS 65536
#define ENDING_MS 10000
#define LOOK_AGAIN_MS 20

/* --- Ports --- */

static int check_port(const char *what, const struct listen_address *a, const char *flag, struct error **err)
{
    int why = gateway_probe_port(a->host, a->first);

    if (why == 0)
        return 0;
    if (why == EADDRINUSE)
        return error_set(err, REASON_CONFLICT,
                         "port %u of %s (%s) is in use by another program: end that one, or give another with %s",
                         a->first, a->host, what, flag);
    return error_errno(err, why, "cannot listen on %s:%u (%s, %s)", a->host, a->first, what, flag);
}

static int write_excluded(const struct layout *l, const uint16_t *ports, size_t n, struct error **err)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(8 * MAX_PORTS);

    for (size_t i = 0; i < n; i++)
        buffer_printf(&b, "%u\n", ports[i]);
    /* The same again needs no disk, which may be full. */
    size_t old_n = 0;
    _cleanup_free_ char *old = read_file(l->excluded_ports, 8 * MAX_PORTS, &old_n, NULL);
    if (old && str_equal((struct str){old, old_n}, buffer_str(&b)))
        return 0;
    return write_file_atomic(l->excluded_ports, buffer_str(&b), 0644, err);
}

int nginx_check_ports(const struct config *c, const struct layout *l, struct error **err)
{
    _cleanup_free_ uint16_t *taken = xcalloc(MAX_PORTS, sizeof(*taken));

    if (check_port("dashboard", &c->dashboard, "--dashboard-listen", err) < 0 ||
        check_port("API", &c->api, "--api-listen", err) < 0)
        return -1;
    int n = gateway_probe_ports(c, taken, MAX_PORTS, err);
    if (n < 0)
        return -1;
    if (n == c->environments.last - c->environments.first + 1)
        return error_set(err, REASON_CONFLICT, "all ports of --environment-listen are in use by other programs");
    if (n)
        log_warning("%d ports of the environments' range are in use by other programs and are left out", n);
    return write_excluded(l, taken, (size_t)n, err);
}

/* --- The process --- */

const char *nginx_program(void)
{
    static const char *const places[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx",
                                         "/usr/local/nginx/sbin/nginx"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* Ours for as long as a process has the file open: it is handed down to all of them. */
static int open_lock(const struct layout *l, int flags, struct error **err)
{
    int fd = open(l->nginx_lock, O_RDONLY | O_CREAT | O_NOFOLLOW | flags, 0600);

    return fd < 0 ? error_errno(err, errno, "open %s", l->nginx_lock) : fd;
}

/* Workers of a master that was killed end within a moment. */
static int wait_for_lock(int fd)
{
    for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOOK_AGAIN_MS) {
        if (waited >= ENDING_MS)
            return -1;
        usleep(LOOK_AGAIN_MS * 1000);
    }
    return 0;
}

static bool has_open(pid_t pid, const struct stat *lock)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/fd", (int)pid);
    DIR *entries = opendir(path);
    struct dirent *e;
    struct stat st;
    bool found = false;

    while (entries && !found && (e = readdir(entries)))
        found =
            fstatat(dirfd(entries), e->d_name, &st, 0) == 0 && st.st_ino == lock->st_ino && st.st_dev == lock->st_dev;
    if (entries)
        closedir(entries);
    return found;
}

/* By its user too: a descriptor can be handed to somebody else. */
static bool is_user(pid_t pid, uid_t id)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d", (int)pid);
    struct stat st;

    return stat(path, &st) == 0 && st.st_uid == id;
}

static void kill_holders(int fd, uid_t id)
{
    DIR *processes = opendir("/proc");
    struct dirent *e;
    struct stat lock;
    unsigned long long pid;

    while (processes && fstat(fd, &lock) == 0 && (e = readdir(processes))) {
        if (str_to_u64(str_from(e->d_name), INT32_MAX, &pid) < 0 || (pid_t)pid == getpid() ||
            !is_user((pid_t)pid, id) || !has_open((pid_t)pid, &lock))
            continue;
        log_warning("nginx of a start that was killed is still there (process %llu): it is ended", pid);
        kill((pid_t)pid, SIGKILL);
    }
    if (processes)
        closedir(processes);
}

int nginx_end_orphans(const struct layout *l, struct error **err)
{
    _cleanup_close_ int fd = open_lock(l, O_CLOEXEC, err);

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    kill_holders(fd, l->gateway_id);
    return wait_for_lock(fd) < 0 ? error_set(err, REASON_CONFLICT, "nginx of a start that was killed does not end") : 0;
}

/* In the child: the one nginx of this folder, as its own user. */
static int become_nginx(const struct layout *l, struct error **err)
{
    int lock = open_lock(l, 0, err);

    if (lock < 0)
        return -1;
    if (wait_for_lock(lock) < 0)
        return error_set(err, REASON_CONFLICT, "another one does not end");
    return rootless_enter_as_self(l->rootless, err) < 0 || become(l->gateway_id, err) < 0 ? -1 : 0;
}

static _Noreturn void run_nginx(const char *nginx, const struct config *c, const struct layout *l, int log)
{
    _cleanup_free_ char *file = xasprintf("%s/nginx.conf", l->gateway);
    struct error *err = NULL;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Ctrl-C reaches the whole terminal group; nginx is ended in order, after it has let go of its clients. The workers
     * are in this group. */
    setpgid(0, 0);
    if (become_nginx(l, &err) < 0) {
        log_error("nginx: %s", err->message);
        _exit(1);
    }
    /* Set after the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    listeners_open(c);
    dup2(log, STDERR_FILENO);
    execl(nginx, nginx, "-e", "stderr", "-p", l->gateway, "-c", file, (char *)NULL);
    log_error("nginx: %s", strerror(errno));
    _exit(1);
}

pid_t nginx_start(const struct config *c, const struct layout *l, struct error **err)
{
    const char *nginx = nginx_program();

    if (nginx == NULL)
        return error_set(err, REASON_NOT_FOUND, "nginx is not installed");
    _cleanup_close_ int log = nginx_log_start(l->gateway_id, err);
    if (log < 0)
        return -1;
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, errno, "fork");
    if (pid == 0)
        run_nginx(nginx, c, l, log);
    return pid;
}

void nginx_end_workers(pid_t master)
{
    kill(-master, SIGKILL);
}

/* To a wildcard address too: it leads to this machine. */
static bool port_connects(const struct listen_address *a)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->first)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->first)};
    bool is_v6 = inet_pton(AF_INET6, a->host, &v6.sin6_addr) == 1;

    if (!is_v6 && inet_pton(AF_INET, a->host, &v4.sin_addr) != 1)
        return false;
    _cleanup_close_ int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    return (is_v6 ? connect(fd, (struct sockaddr *)&v6, sizeof(v6))
                  : connect(fd, (struct sockaddr *)&v4, sizeof(v4))) == 0;
}

/* nginx listens on all of its ports before it serves any: two of them speak for the rest. */
bool nginx_answers(const struct config *c)
{
    return port_connects(&c->dashboard) && port_connects(&c->api);
}
