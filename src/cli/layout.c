#include "cli/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/content_folder.h"
#include "cli/repair.h"

#define ENDING_MS 10000
#define LOOK_AGAIN_MS 20

struct layout *layout_new(const struct config *c)
{
    struct layout *l = xcalloc(1, sizeof(*l));

    l->privileged = geteuid() == 0;
    l->server_id = l->privileged ? c->server_id : geteuid();
    l->gateway_id = l->privileged ? c->gateway_id : geteuid();
    l->server_state = xasprintf("%s/server", c->data);
    l->pki = xasprintf("%s/pki", c->data);
    l->gateway = xasprintf("%s/gateway", c->data);
    l->kubeconfig = xasprintf("%s/kubeconfig", c->data);
    l->nginx_pid = xasprintf("%s/nginx/nginx.pid", c->runtime);
    l->gateway_socket = xasprintf("%s/gateway/gateway.sock", c->runtime);
    l->auth_socket = xasprintf("%s/gateway/auth.sock", c->runtime);
    l->runner_socket = xasprintf("%s/runner/runner.sock", c->runtime);
    l->logs_socket = xasprintf("%s/server/logs.sock", c->runtime);
    l->environments = xasprintf("%s/env", c->runtime);
    l->excluded_ports = xasprintf("%s/excluded-ports", c->runtime);
    l->lock = xasprintf("%s/lock", c->runtime);
    l->nginx_lock = xasprintf("%s/nginx.lock", c->runtime);
    l->claim = xasprintf("%s/data", c->runtime);
    l->data_lock = xasprintf("%s/lock", c->data);
    return l;
}

void layout_free(struct layout *l)
{
    if (l == NULL)
        return;
    char *const all[] = {l->server_state, l->pki,           l->gateway,     l->kubeconfig,   l->gateway_socket,
                         l->auth_socket,  l->runner_socket, l->logs_socket, l->environments, l->excluded_ports,
                         l->lock,         l->data_lock,     l->nginx_pid,   l->nginx_lock,   l->claim};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
    rootless_free(l->rootless);
    free(l);
}

static int cannot_own(const char *what, const char *path, struct error **err)
{
    if (errno == EROFS)
        return error_set(err, REASON_FORBIDDEN,
                         "%s is read-only here: its file system is, or under systemd the folder has to be made, and "
                         "named in ReadWritePaths= of this service (systemctl edit)",
                         path);
    return error_errno(err, errno, "%s %s", what, path);
}

struct part {
    const char *parent, *name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* Owner and mode as they should be; what is right already is left alone, so that a full disk need not take it. */
static int own_open_part(int fd, const char *path, const struct part *p, struct stat *before, struct error **err)
{
    if (fstat(fd, before) < 0)
        return error_errno(err, errno, "stat %s", path);
    if (faccessat(fd, ".", W_OK, 0) < 0 && errno == EROFS)
        return cannot_own("write in", path, err);
    if (geteuid() == 0 && (before->st_uid != p->uid || before->st_gid != p->gid) && fchown(fd, p->uid, p->gid) < 0)
        return cannot_own("chown", path, err);
    if ((before->st_mode & 07777) != p->mode && fchmod(fd, p->mode) < 0)
        return cannot_own("chmod", path, err);
    return 0;
}

/* A folder that is another's gets back what root, or who had it before, has in it. */
static int own_part(const struct part *p, struct error **err)
{
    _cleanup_free_ char *path = p->name ? xasprintf("%s/%s", p->parent, p->name) : xstrdup(p->parent);
    struct stat before;

    if (make_directory(path, p->mode, err) < 0)
        return -1;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cannot_own("open", path, err);
    if (own_open_part(fd, path, p, &before, err) < 0)
        return -1;
    if (p->uid == geteuid()) {
        repair_half_made(fd);
        return 0;
    }
    const struct owner o = {before.st_uid, p->uid, p->gid};
    return repair_owners(fd, &o, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

static bool is_in_data(const struct config *c, const char *path)
{
    size_t n = strlen(c->data);

    return starts_with(path, c->data) && path[n] == '/';
}

int layout_make(const struct layout *l, const struct config *c, struct error **err)
{
    uid_t own = geteuid();
    gid_t group = getegid();
    const struct part parts[] = {
        {c->data, NULL, 0711, own, group},
        {c->runtime, NULL, 0711, own, group},
        {c->data, "server", 0700, l->server_id, l->server_id},
        {c->data, "pki", 0755, own, group},
        {c->data, "gateway", 0700, l->gateway_id, l->gateway_id},
        {c->runtime, "gateway", 0710, own, l->gateway_id},
        {c->runtime, "nginx", 0700, l->gateway_id, l->gateway_id},
        {c->runtime, "runner", 0700, own, group},
        {c->runtime, "server", 0710, own, l->server_id},
        {c->runtime, "env", 0710, own, l->gateway_id},
    };

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (own_part(&parts[i], err) < 0)
            return -1;
    content_folder_make(c->dataset_path, "datasetBasePath", is_in_data(c, c->dataset_path), l->server_id);
    content_folder_make(c->course_path, "courseBasePath", is_in_data(c, c->course_path), l->server_id);
    return 0;
}

/* What its holder wrote there; 0: nothing. */
static pid_t socket_holder(int fd)
{
    char text[16] = "";
    unsigned long long pid;
    struct str line = {text, 0}, number;

    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    line.n = n > 0 ? (size_t)n : 0;
    return str_split(&line, '\n', &number) && str_to_u64(str_trim(number), INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

/* Children of one that was killed hold it a moment longer. */
static int lock_or_wait(int fd)
{
    for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOOK_AGAIN_MS) {
        pid_t pid = socket_holder(fd);
        if (waited >= ENDING_MS || pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
            return -1;
        usleep(LOOK_AGAIN_MS * 1000);
    }
    return 0;
}

static int take_lock(const char *path, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char pid[16] = "";

    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    if (lock_or_wait(fd) < 0)
        return error_set(err, REASON_CONFLICT,
                         "open-hydra is running already (process %d): stop it first, or give this one other --data, "
                         "--runtime and ports",
                         (int)socket_holder(fd));
    /* In place and of one length: it needs no room on a disk that is full. Where it cannot be had, the lock is enough.
     */
    int n = snprintf(pid, sizeof(pid), "%-10d\n", (int)getpid());
    if (pwrite(fd, pid, (size_t)n, 0) != n)
        log_warning("cannot write our number into %s: %s", path, strerror(errno));
    return steal_fd(fd);
}

int layout_lock(const struct layout *l, struct error **err)
{
    return take_lock(l->lock, err);
}

int layout_lock_data(const struct layout *l, struct error **err)
{
    return take_lock(l->data_lock, err);
}

static int listen_for(const char *path, uid_t client, struct error **err)
{
    _cleanup_close_ int fd = listen_unix(path, 0660, err);

    if (fd < 0)
        return -1;
    if (geteuid() == 0 && chown(path, 0, client) < 0)
        return error_errno(err, errno, "chown %s", path);
    return steal_fd(fd);
}

struct socket_place {
    const char *path;
    uid_t client;
};

static void places_of(const struct layout *l, struct socket_place out[static SOCKETS])
{
    out[SOCKET_GATEWAY] = (struct socket_place){l->gateway_socket, l->gateway_id};
    out[SOCKET_AUTH] = (struct socket_place){l->auth_socket, l->gateway_id};
    out[SOCKET_RUNNER] = (struct socket_place){l->runner_socket, 0};
    out[SOCKET_LOGS] = (struct socket_place){l->logs_socket, l->server_id};
}

int layout_give_sockets(const struct layout *l, const int fds[static SOCKETS], struct error **err)
{
    struct socket_place places[SOCKETS];

    places_of(l, places);
    for (size_t i = 0; i < SOCKETS; i++)
        if (fds[i] >= 0 && l->privileged && chown(places[i].path, 0, places[i].client) < 0)
            return error_errno(err, errno, "chown %s", places[i].path);
    return 0;
}

int layout_listen(const struct layout *l, int fds[static SOCKETS], struct error **err)
{
    struct socket_place places[SOCKETS];

    places_of(l, places);
    for (size_t i = 0; i < SOCKETS; i++)
        fds[i] = -1;
    for (size_t i = 0; i < SOCKETS; i++) {
        fds[i] = listen_for(places[i].path, places[i].client, err);
        if (fds[i] < 0)
            return -1;
    }
    return 0;
}
