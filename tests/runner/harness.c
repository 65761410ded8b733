/* One of the processes by itself, for tests that kill and restart them apart: server, runner or down, without
 * privileges given up. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "config/config.h"
#include "runner/environment/limits.h"
#include "runner/runner.h"
#include "server/server.h"

struct places {
    char *gateway, *auth, *runner, *logs, *environments, *excluded;
};

static struct places places_of(const struct config *c)
{
    return (struct places){xasprintf("%s/gateway.sock", c->runtime), xasprintf("%s/auth.sock", c->runtime),
                           xasprintf("%s/runner.sock", c->runtime),  xasprintf("%s/logs.sock", c->runtime),
                           xasprintf("%s/env", c->runtime),          xasprintf("%s/excluded", c->runtime)};
}

static int serve(const struct config *c, const struct places *p, int stop_fd, struct error **err)
{
    _cleanup_free_ char *server = xasprintf("%s/server", c->data);
    struct server_options o = {.config = c,
                               .gateway_uid = (uid_t)-1,
                               .runner_uid = (uid_t)-1,
                               .logs_socket = p->logs,
                               .excluded_ports_file = p->excluded,
                               .ready_fd = STDOUT_FILENO};

    if (make_directory(server, 0700, err) < 0)
        return -1;
    o.gateway_fd = listen_unix(p->gateway, 0666, err);
    o.auth_fd = listen_unix(p->auth, 0666, err);
    o.runner_fd = listen_unix(p->runner, 0666, err);
    if (o.gateway_fd < 0 || o.auth_fd < 0 || o.runner_fd < 0)
        return -1;
    return server_run(&o, stop_fd, err);
}

/* Where a test says what the driver says there. */
static struct gpu_places gpu_places(void)
{
    return (struct gpu_places){.proc = getenv("GPU_PROC")};
}

static int control(const struct config *c, const struct places *p, bool down, int stop_fd, struct error **err)
{
    const struct gpu_places gpus = gpu_places();
    struct runner_options o = {.config = c,
                               .gpu_places = &gpus,
                               .logs_fd = -1,
                               .server_socket = p->runner,
                               .environments = p->environments,
                               .gateway_gid = 65500,
                               .server_uid = (uid_t)-1};

    if (down)
        return runner_down(&o, stop_fd, err);
    o.logs_fd = listen_unix(p->logs, 0666, err);
    return o.logs_fd < 0 ? -1 : runner_run(&o, stop_fd, err);
}

static void take(unsigned *limit, const char *name)
{
    const char *value = getenv(name);

    if (value)
        *limit = (unsigned)strtoul(value, NULL, 10);
}

/* Deadlines of minutes are not for tests. */
static void shrink_limits(void)
{
    take(&limits.starting_seconds, "STARTING_SECONDS");
    take(&limits.image_missing_seconds, "IMAGE_MISSING_SECONDS");
    take(&limits.image_check_seconds, "IMAGE_CHECK_SECONDS");
    take(&limits.starts_at_once, "STARTS_AT_ONCE");
    take(&limits.turn_seconds, "TURN_SECONDS");
    take(&limits.check_seconds, "CHECK_SECONDS");
    take(&limits.ask_seconds, "ASK_SECONDS");
    take(&limits.shortage_seconds, "SHORTAGE_SECONDS");
    take(&limits.ask_answer_ms, "ASK_ANSWER_MS");
    take(&limits.ask_again_ms, "ASK_AGAIN_MS");
    take(&limits.silent_seconds, "SILENT_SECONDS");
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    struct config_flags flags = {0};
    sigset_t signals;

    if (argc < 4) {
        fprintf(stderr, "usage: %s server|runner|down DATA RUNTIME [CONFIG [ENGINE-SOCKET]]\n", argv[0]);
        return 2;
    }
    shrink_limits();
    flags.data = argv[2];
    flags.runtime = argv[3];
    flags.file = argc > 4 ? argv[4] : NULL;
    flags.engine_socket = argc > 5 ? argv[5] : NULL;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    int stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    struct config *c = config_load(&flags, &err);
    struct places p = {0};
    int rc = c ? make_directory(c->data, 0755, &err) : -1;
    if (rc == 0)
        rc = make_directory(c->runtime, 0755, &err);
    if (rc == 0) {
        p = places_of(c);
        rc = strcmp(argv[1], "server") == 0 ? serve(c, &p, stop_fd, &err)
                                            : control(c, &p, strcmp(argv[1], "down") == 0, stop_fd, &err);
    }
    if (rc < 0)
        log_error("%s", err->message);
    error_free(err);
    char *const all[] = {p.gateway, p.auth, p.runner, p.logs, p.environments, p.excluded};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
    config_free(c);
    return rc < 0 ? 1 : 0;
}
