#include "cli/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

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
    l->gateway_socket = xasprintf("%s/gateway/gateway.sock", c->runtime);
    l->auth_socket = xasprintf("%s/gateway/auth.sock", c->runtime);
    l->runner_socket = xasprintf("%s/runner/runner.sock", c->runtime);
    l->logs_socket = xasprintf("%s/server/logs.sock", c->runtime);
    l->environments = xasprintf("%s/env", c->runtime);
    l->excluded_ports = xasprintf("%s/excluded-ports", c->runtime);
    l->lock = xasprintf("%s/lock", c->runtime);
    l->data_lock = xasprintf("%s/lock", c->data);
    return l;
}

void layout_free(struct layout *l)
{
    if (l == NULL)
        return;
    char *const all[] = {l->server_state, l->pki,           l->gateway,     l->kubeconfig,   l->gateway_socket,
                         l->auth_socket,  l->runner_socket, l->logs_socket, l->environments, l->excluded_ports,
                         l->lock,         l->data_lock};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
    rootless_free(l->rootless);
    free(l);
}

static int cannot_own(const char *what, const char *path, struct error **err)
{
    if (errno == EROFS)
        return error_set(err, REASON_FORBIDDEN,
                         "%s is read-only here: a folder outside of /var/lib/open-hydra has to be made, and named in "
                         "ReadWritePaths= of this service (systemctl edit)",
                         path);
    return error_errno(err, errno, "%s %s", what, path);
}

static int own_directory(const char *path, mode_t mode, uid_t uid, gid_t gid, struct error **err)
{
    if (make_directory(path, mode, err) < 0)
        return -1;
    if (geteuid() == 0 && chown(path, uid, gid) < 0)
        return cannot_own("chown", path, err);
    if (chmod(path, mode) < 0)
        return cannot_own("chmod", path, err);
    return 0;
}

static int own_in(const char *parent, const char *name, mode_t mode, uid_t uid, gid_t gid, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", parent, name);
    return own_directory(path, mode, uid, gid, err);
}

int layout_make(const struct layout *l, const struct config *c, struct error **err)
{
    uid_t own = geteuid();
    gid_t group = getegid();
    const struct {
        const char *parent, *name;
        mode_t mode;
        uid_t uid;
        gid_t gid;
    } parts[] = {
        {c->data, "server", 0700, l->server_id, l->server_id},
        {c->data, "pki", 0755, own, group},
        {c->data, "gateway", 0700, l->gateway_id, l->gateway_id},
        {c->runtime, "gateway", 0710, own, l->gateway_id},
        {c->runtime, "runner", 0700, own, group},
        {c->runtime, "server", 0710, own, l->server_id},
        {c->runtime, "env", 0710, own, l->gateway_id},
    };

    if (own_directory(c->data, 0711, own, group, err) < 0 || own_directory(c->runtime, 0711, own, group, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (own_in(parts[i].parent, parts[i].name, parts[i].mode, parts[i].uid, parts[i].gid, err) < 0)
            return -1;
    return 0;
}

static int take_lock(const char *path, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char pid[16] = "";

    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
        return error_set(err, REASON_CONFLICT,
                         "open-hydra is running already (process %.*s): stop it first, or give this one "
                         "other --data, --runtime and ports",
                         n > 0 ? (int)strcspn(pid, "\n") : 1, n > 0 ? pid : "?");
    }
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return error_errno(err, errno, "write %s", path);
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

int become(uid_t id, struct error **err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "no_new_privs");
    if (id == geteuid())
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
        return error_errno(err, errno, "become user %u", (unsigned)id);
    return 0;
}
