/* `gateway`: nginx under a process that keeps its certificates fresh. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "cli/command.h"
#include "cli/keys.h"
#include "cli/nginx.h"
#include "cli/signals.h"
#include "cli/title.h"

#define ANSWER_CHECK_MS 20
#define EXIT_ENDED 2 /* it ran: to be started again at once, unlike what cannot start */

struct gateway_process {
    const struct config *config;
    const struct layout *layout;
    pid_t nginx;
    int signals;
    bool ready;
};

/* To end, to read certificates again (SIGHUP), and nginx's own end. */
static int gateway_signals(void)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    return signals_watch(wanted, ARRAY_SIZE(wanted));
}

static void renew_keys(struct gateway_process *g, bool always)
{
    _cleanup_error_ struct error *err = NULL;
    int changed = keys_ensure(g->config, g->layout, &err);

    if (changed < 0)
        log_warning("certificates: %s", err->message);
    else if (changed || always)
        kill(g->nginx, SIGHUP);
}

static void check_ready(struct gateway_process *g)
{
    if (!g->ready && nginx_answers(g->config)) {
        g->ready = true;
        log_info("serving");
        notify_ready();
    }
}

static int end_nginx(struct gateway_process *g)
{
    kill(g->nginx, SIGTERM);
    while (waitpid(g->nginx, NULL, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

static int watch_over(struct gateway_process *g)
{
    int64_t every = (int64_t)g->config->certificate_check_seconds * 1000,
            check_at = clock_monotonic_us() / 1000 + every;

    for (;;) {
        int64_t left = check_at - clock_monotonic_us() / 1000;
        int signal = signals_next(g->signals, !g->ready ? ANSWER_CHECK_MS : left > 0 ? (int)left : 0);
        if (signal == SIGINT || signal == SIGTERM)
            return end_nginx(g);
        if (waitpid(g->nginx, NULL, WNOHANG) == g->nginx) {
            log_error("nginx ended by itself");
            nginx_end_workers(g->nginx);
            return g->ready ? EXIT_ENDED : 1;
        }
        check_ready(g);
        if (signal != SIGHUP && left > 0)
            continue;
        renew_keys(g, signal == SIGHUP);
        check_at = clock_monotonic_us() / 1000 + every;
    }
}

int command_gateway(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    struct layout *l = layout_new(config);
    struct gateway_process g = {.config = config, .layout = l, .nginx = -1, .signals = gateway_signals()};

    log_set_part("gateway");
    title_set("gateway");
    l->rootless = rootless_find();
    if (layout_make(l, config, &err) == 0 && nginx_end_orphans(l, &err) == 0 &&
        nginx_check_ports(config, l, &err) == 0 && keys_ensure(config, l, &err) >= 0)
        g.nginx = nginx_start(config, l, &err);
    int rc = g.nginx < 0 ? command_fail(err) : watch_over(&g);
    layout_free(l);
    return rc;
}
