#include "cli/process.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cli/away.h"
#include "cli/become.h"
#include "cli/confine.h"
#include "cli/history.h"
#include "cli/title.h"
#include "runner/runner.h"
#include "server/content/unpack.h"
#include "server/server.h"

static int process_ended(int rc, struct error *err)
{
    if (rc == 0)
        return 0;
    log_error("%s", err->message);
    error_free(err);
    return 1;
}

/* Whoever reads there says it; else the log does. */
static int server_process_ended(int rc, struct error *err, int ready_fd)
{
    char line[1024];

    if (rc == 0 || ready_fd < 0)
        return process_ended(rc, err);
    int n = snprintf(line, sizeof(line) - 1, "failed %.900s", err->message);
    for (int i = 0; i < n; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[n++] = '\n';
    bool told = write(ready_fd, line, (size_t)n) == n;
    if (!told)
        return process_ended(rc, err);
    error_free(err);
    return 1;
}

/* libcurl prepares OpenSSL for TLS, which neither process ever speaks: nginx does. Its tables of algorithms, names and
 * settings are more than a megabyte of each process. */
static void leave_tls_alone(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                            OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
                        NULL);
}

/* While it can still be found, wherever that is. Without it there are no uploads, and all else works. */
static void prepare_unpacking(void)
{
    _cleanup_error_ struct error *err = NULL;

    if (unpack_prepare(NULL, &err) < 0)
        log_warning("%s", err->message);
}

int process_server(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int peers_fd,
                   int stop_fd, int ready_fd, char **reason)
{
    struct error *err = NULL;
    const struct server_options options = {
        .config = c,
        .gateway_fd = fds[SOCKET_GATEWAY],
        .auth_fd = fds[SOCKET_AUTH],
        .runner_fd = fds[SOCKET_RUNNER],
        .peers_fd = peers_fd,
        .gateway_uid = l->gateway_id,
        .runner_uid = l->privileged ? 0 : geteuid(),
        .logs_socket = l->logs_socket,
        .excluded_ports_file = l->excluded_ports,
        .ready_fd = ready_fd,
    };

    log_set_part("server");
    title_set("server");
    prctl(PR_SET_NAME, "hydra-server");
    leave_tls_alone();
    prepare_unpacking();
    int rc = history_check(c, l, &err);
    if (rc == 0)
        rc = become(l->server_id, &err);
    if (rc == 0)
        rc = confine_calls(&err);
    if (rc == 0)
        rc = server_run(&options, stop_fd, &err);
    if (rc < 0 && reason)
        *reason = xstrdup(err->message);
    return server_process_ended(rc, err, ready_fd);
}

int process_away(const struct layout *l, const int fds[static SOCKETS], int stop_fd, const char *reason,
                 int64_t until_us)
{
    const int listeners[] = {fds[SOCKET_GATEWAY], fds[SOCKET_AUTH], fds[SOCKET_RUNNER]};
    struct error *err = NULL;

    log_set_part("server");
    title_set("server (away)");
    prctl(PR_SET_NAME, "hydra-away");
    int rc = become(l->server_id, &err);
    if (rc == 0)
        rc = confine_calls(&err);
    if (rc == 0)
        away_answer(listeners, ARRAY_SIZE(listeners), reason, stop_fd, until_us);
    return process_ended(rc, err);
}

/* Without root server and gateway are ourselves, whatever our numbers are where the runner is. */
static int enter_rootless(const struct layout *l, struct runner_options *o, struct error **err)
{
    if (rootless_enter(l->rootless, err) < 0)
        return -1;
    if (!l->privileged) {
        o->gateway_gid = getegid();
        o->server_uid = geteuid();
    }
    return 0;
}

int process_runner(const struct config *c, const struct layout *l, const int fds[static SOCKETS], int stop_fd)
{
    struct error *err = NULL;
    struct runner_options options = {
        .config = c,
        .logs_fd = fds[SOCKET_LOGS],
        .server_socket = l->runner_socket,
        .environments = l->environments,
        .rootless = !l->privileged,
        .gateway_gid = l->gateway_id,
        .server_uid = l->server_id,
    };

    log_set_part("runner");
    title_set("runner");
    prctl(PR_SET_NAME, "hydra-runner");
    leave_tls_alone();
    int rc = enter_rootless(l, &options, &err);
    if (rc == 0)
        rc = runner_run(&options, stop_fd, &err);
    return process_ended(rc, err);
}
