#include "cli/nginx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "server/auth/auth.h"
#include "server/gateway/gateway.h"

#define MAX_CERTIFICATE ((size_t)1 << 20)
#define MAX_PORTS 65536
#define GIVEN_CERTIFICATE "pki/given.crt"
#define GIVEN_KEY "pki/given.key"
#define MAX_STATIC_FILE ((size_t)64 << 20)

/* ---- files that nginx's user may read: copies, since DATA and the program's folders may be closed to it ---- */

static int give(const char *path, uid_t id, struct error **err)
{
    if (geteuid() == 0 && lchown(path, id, id) < 0)
        return error_errno(err, errno, "chown %s", path);
    return 0;
}

/* Returns 1 where the copy was another, or none. */
static int copy_file(const char *from, const char *to, mode_t mode, uid_t id, struct error **err)
{
    size_t n, old_n = 0;
    _cleanup_free_ char *text = read_file(from, MAX_STATIC_FILE, &n, err);
    _cleanup_free_ char *old = path_exists(to) ? read_file(to, MAX_STATIC_FILE, &old_n, NULL) : NULL;

    if (text == NULL)
        return -1;
    if (old && old_n == n && memcmp(old, text, n) == 0)
        return 0;
    if (write_file_atomic(to, (struct str){text, n}, mode, err) < 0 || give(to, id, err) < 0)
        return -1;
    return 1;
}

/* nftw() has no argument for its callback. */
static struct {
    const char *from, *to;
    uid_t id;
    struct error **err;
} copying;

static int copy_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    _cleanup_free_ char *to = xasprintf("%s%s", copying.to, path + strlen(copying.from));

    if (type == FTW_D)
        return make_directory(to, 0755, copying.err) < 0 || give(to, copying.id, copying.err) < 0 ? -1 : 0;
    if (type == FTW_F)
        return copy_file(path, to, 0644, copying.id, copying.err) < 0 ? -1 : 0;
    return 0;
}

static int copy_tree(const char *from, const char *to, uid_t id, struct error **err)
{
    copying.from = from;
    copying.to = to;
    copying.id = id;
    copying.err = err;
    if (!path_exists(from))
        return error_set(err, REASON_NOT_FOUND, "%s is not there (make build makes it; --web names another folder)",
                         from);
    if (nftw(from, copy_entry, 16, FTW_PHYS) != 0)
        return err && *err ? -1 : error_errno(err, errno, "copy %s", from);
    return 0;
}

/* A given certificate is copied too: its key is usually closed to all but root. Returns 1 where a copy changed. */
static int copy_given(const struct config *c, const struct layout *l, struct error **err)
{
    _cleanup_free_ char *certificate = xasprintf("%s/" GIVEN_CERTIFICATE, l->gateway);
    _cleanup_free_ char *key = xasprintf("%s/" GIVEN_KEY, l->gateway);

    if (c->certificate == NULL)
        return 0;
    int first = copy_file(c->certificate, certificate, 0600, l->gateway_id, err);
    int second = first < 0 ? -1 : copy_file(c->certificate_key, key, 0600, l->gateway_id, err);
    return second < 0 ? error_wrap(err, "tlsCertificate, tlsCertificateKey") : first | second;
}

static int copy_certificates(const struct config *c, const struct layout *l, struct error **err)
{
    static const char *const names[] = {"ca.crt", "server.crt", "server.key"};
    _cleanup_free_ char *folder = xasprintf("%s/pki", l->gateway);

    if (make_directory(folder, 0700, err) < 0 || give(folder, l->gateway_id, err) < 0)
        return -1;
    int changed = copy_given(c, l, err);
    for (size_t i = 0; changed >= 0 && i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *from = xasprintf("%s/%s", l->pki, names[i]);
        _cleanup_free_ char *to = xasprintf("%s/%s", folder, names[i]);
        int rc = copy_file(from, to, 0600, l->gateway_id, err);
        if (rc < 0)
            return -1;
        changed |= rc;
    }
    return changed;
}

static int copy_static(const struct config *c, const struct layout *l, struct error **err)
{
    static const char *const names[] = {"web", "pages"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *from = i == 0 ? xstrdup(c->web) : xasprintf("%s/../%s", c->web, names[i]);
        _cleanup_free_ char *to = xasprintf("%s/%s", l->gateway, names[i]);
        if (copy_tree(from, to, l->gateway_id, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- ports ---- */

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

static size_t read_excluded(const struct layout *l, uint16_t *ports)
{
    size_t n = 0, count = 0;
    unsigned long long port;
    _cleanup_free_ char *text = read_file(l->excluded_ports, 8 * MAX_PORTS, &n, NULL);
    struct str rest = {text, n}, line;

    while (text && str_split(&rest, '\n', &line))
        if (str_to_u64(line, UINT16_MAX, &port) == 0 && count < MAX_PORTS)
            ports[count++] = (uint16_t)port;
    return count;
}

/* ---- configuration ---- */

static const char *program(void)
{
    static const char *const places[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx",
                                         "/usr/local/nginx/sbin/nginx"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static unsigned descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY || limit.rlim_max > 65536)
        return 65536;
    return (unsigned)limit.rlim_max;
}

static int write_configuration(const struct config *c, const struct layout *l, struct error **err)
{
    _cleanup_free_ uint16_t *excluded = xcalloc(MAX_PORTS, sizeof(*excluded));
    _cleanup_free_ char *web = xasprintf("%s/web", l->gateway), *pages = xasprintf("%s/pages", l->gateway);
    _cleanup_free_ char *pki = xasprintf("%s/pki", l->gateway), *file = xasprintf("%s/nginx.conf", l->gateway);
    _cleanup_free_ char *certificate = xasprintf("%s/" GIVEN_CERTIFICATE, l->gateway);
    _cleanup_free_ char *key = xasprintf("%s/" GIVEN_KEY, l->gateway);
    struct config copied = *c;

    if (c->certificate) {
        copied.certificate = certificate;
        copied.certificate_key = key;
    }
    const struct nginx_options options = {
        .config = &copied,
        .prefix = l->gateway,
        .gateway_socket = l->gateway_socket,
        .auth_socket = l->auth_socket,
        .web = web,
        .pages = pages,
        .pki = pki,
        .excluded = excluded,
        .excluded_len = read_excluded(l, excluded),
        .nofile = descriptor_limit(),
    };
    _cleanup_free_ char *text = nginx_configuration(&options, err);

    if (text == NULL || write_file_atomic(file, str_from(text), 0600, err) < 0)
        return -1;
    return give(file, l->gateway_id, err);
}

int nginx_prepare(const struct config *c, const struct layout *l, struct error **err)
{
    const struct pki_options options = {.directory = l->pki, .hosts = (const char *const *)c->hosts};

    if (program() == NULL)
        return error_set(err, REASON_NOT_FOUND, "nginx is not installed: tools/setup run (or: apt-get install nginx)");
    if (pki_ensure(&options, err) < 0)
        return -1;
    int changed = copy_certificates(c, l, err);
    if (changed < 0 || copy_static(c, l, err) < 0 || write_configuration(c, l, err) < 0)
        return -1;
    return changed;
}

pid_t nginx_start(const struct layout *l, struct error **err)
{
    _cleanup_free_ char *file = xasprintf("%s/nginx.conf", l->gateway);
    const char *nginx = program();
    sigset_t none;

    if (nginx == NULL)
        return error_set(err, REASON_NOT_FOUND, "nginx is not installed");
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, errno, "fork");
    if (pid > 0)
        return pid;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Ctrl-C reaches the whole terminal group; nginx is ended in order, after it has let go of its clients. The workers
     * are in this group. */
    setpgid(0, 0);
    struct error *why = NULL;
    if (rootless_enter_as_self(l->rootless, &why) < 0 || become(l->gateway_id, &why) < 0) {
        log_error("nginx: %s", why->message);
        _exit(1);
    }
    /* Set after the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execl(nginx, nginx, "-e", "stderr", "-p", l->gateway, "-c", file, (char *)NULL);
    log_error("nginx: %s", strerror(errno));
    _exit(1);
}

void nginx_end_workers(pid_t master)
{
    kill(-master, SIGKILL);
}

/* To a wildcard address too: it leads to this machine. */
static bool connects(const struct listen_address *a)
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
    return connects(&c->dashboard) && connects(&c->api);
}
