/* `run`: server, runner and gateway as children of one process, which starts again what ends and stops all of them
 * together. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/text.h"
#include "cli/claim.h"
#include "cli/command.h"
#include "cli/confine.h"
#include "cli/keys.h"
#include "cli/nginx.h"
#include "cli/process.h"
#include "cli/restart.h"
#include "cli/signals.h"
#include "cli/title.h"
#include "server/gateway/peers.h"

#define SECOND_US INT64_C(1000000)
#define STOP_WITHIN_US (20 * SECOND_US)
#define READY_WITHIN_US (60 * SECOND_US)
/* A shorter pause of the server's is better waited for than answered. */
#define AWAY_FROM_US (2 * SECOND_US)
#define ANSWER_CHECK_US (SECOND_US / 50)
#define MAX_TOLD ((size_t)4096)

enum { CHILD_SERVER, CHILD_RUNNER, CHILD_GATEWAY, CHILDREN };
static const char *const child_names[CHILDREN] = {"server", "runner", "gateway (nginx)"};

struct child {
    pid_t pid; /* 0: not there */
    int64_t started, start_at;
    struct restart restart;
    bool away;        /* the server: what runs answers in its place */
    bool away_failed; /* and could not: then requests wait */
};

struct supervisor {
    const struct config *config;
    const struct layout *layout;
    int sockets[SOCKETS];
    int stop_pipe[2];   /* children read it: it ends when we do, however that happens */
    int ready_pipe[2];  /* the server writes it */
    struct buffer told; /* by the server, up to the end of a line */
    char *reason;       /* why it does not start; NULL: it did */
    char *setup_code;
    bool ready;
    struct child children[CHILDREN];
    int signals;
    bool stopping;
};

/* In a child: what only the parent may hold. */
static void leave_parent(struct supervisor *s)
{
    sigset_t none;

    close(s->stop_pipe[1]);
    close(s->ready_pipe[0]);
    close(s->signals);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Ctrl-C goes to the whole terminal group; children end by the pipe, in order. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* --- What the server tells --- */

static void set_reason(struct supervisor *s, struct str reason)
{
    if (s->reason && str_is(reason, s->reason))
        return;
    free(s->reason);
    s->reason = xstrndup(reason.p, reason.n);
    log_error("the server cannot start: %s", s->reason);
}

static void take_line(struct supervisor *s, struct str line)
{
    struct str rest = line, word = {0};

    str_split(&rest, ' ', &word);
    if (str_is(word, "failed") && rest.p) {
        set_reason(s, rest);
    } else if (str_is(word, "setup") && rest.p) {
        free(s->setup_code);
        s->setup_code = xstrndup(rest.p, rest.n);
        s->setup_code[text_clean(s->setup_code, rest.n, "")] = '\0'; /* for a terminal, by the server */
    } else if (str_is(line, "ready")) {
        s->ready = true;
        if (s->reason)
            log_info("the server is there again");
        free(s->reason);
        s->reason = NULL;
    }
}

/* All that is there; a line that is too long is nobody's. */
static void read_told(struct supervisor *s)
{
    char piece[512];
    ssize_t n;

    while ((n = read(s->ready_pipe[0], piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] != '\n') {
                buffer_append(&s->told, &piece[i], 1);
                continue;
            }
            if (!s->told.overflow)
                take_line(s, buffer_str(&s->told));
            buffer_free(&s->told);
            s->told = BUFFER_MAX(MAX_TOLD);
        }
    }
}

/* --- Children --- */

static int server_body(struct supervisor *s)
{
    const struct child *c = &s->children[CHILD_SERVER];
    struct error *err = NULL;
    int peers = peers_socket(); /* while the network is there */

    if (confine_network(&err) < 0)
        return command_fail(err);
    if (c->away)
        return process_away(s->layout, s->sockets, s->stop_pipe[0], s->reason, c->start_at);
    return process_server(s->config, s->layout, s->sockets, peers, s->stop_pipe[0], s->ready_pipe[1], NULL);
}

static pid_t start_process(struct supervisor *s, int which)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    leave_parent(s);
    exit(which == CHILD_SERVER ? server_body(s) : process_runner(s->config, s->layout, s->sockets, s->stop_pipe[0]));
}

static void start_child(struct supervisor *s, int which)
{
    struct child *c = &s->children[which];
    _cleanup_error_ struct error *err = NULL;

    c->pid = which == CHILD_GATEWAY ? nginx_start(s->config, s->layout, &err) : start_process(s, which);
    c->started = clock_monotonic_us();
    if (c->pid > 0)
        return;
    log_error("cannot start the %s: %s", child_names[which], err ? err->message : strerror(errno));
    c->pid = 0;
    c->away = false;
    c->start_at = c->started + restart_pause(&c->restart, 0, false);
}

static void start_what_is_due(struct supervisor *s, int64_t now)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (c->pid)
            continue;
        bool due = now >= c->start_at;
        if (!due && (i != CHILD_SERVER || s->reason == NULL || c->away_failed || c->start_at - now < AWAY_FROM_US))
            continue;
        c->away = !due;
        start_child(s, i);
    }
}

/* The server says itself why it does not start: once, however often that is. */
static void say_end(const struct supervisor *s, int which, int status, int64_t pause)
{
    _cleanup_free_ char *when = pause ? xasprintf(" in %lld s", (long long)(pause / SECOND_US)) : xstrdup("");
    bool by_signal = WIFSIGNALED(status);

    if (which == CHILD_SERVER && s->reason && !by_signal)
        return;
    log_warning("the %s %s %d: starting it again%s", child_names[which],
                by_signal ? "was ended by signal" : "ended with code",
                by_signal ? WTERMSIG(status) : WEXITSTATUS(status), when);
}

static void server_ended(struct supervisor *s, int status)
{
    _cleanup_free_ char *how = WIFSIGNALED(status) ? xasprintf("it was ended by signal %d", WTERMSIG(status)) : NULL;

    s->ready = false;
    if (how && s->children[CHILD_SERVER].restart.quick > 1)
        set_reason(s, str_from(how));
}

static void child_ended(struct supervisor *s, int which, int status)
{
    struct child *c = &s->children[which];
    int64_t now = clock_monotonic_us();
    bool was_away = c->away;

    if (which == CHILD_GATEWAY)
        nginx_end_workers(c->pid);
    c->pid = 0;
    c->away = false;
    c->away_failed |= was_away && status != 0;
    if (s->stopping || was_away)
        return;
    int64_t pause = restart_pause(&c->restart, now - c->started, restart_was_killed(status));
    c->start_at = now + pause;
    if (which == CHILD_SERVER)
        server_ended(s, status);
    say_end(s, which, status, pause);
}

static void reap_children(struct supervisor *s)
{
    int status;
    pid_t pid;

    read_told(s);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < CHILDREN; i++)
            if (s->children[i].pid == pid)
                child_ended(s, i, status);
}

static bool any_left(const struct supervisor *s)
{
    for (int i = 0; i < CHILDREN; i++)
        if (s->children[i].pid)
            return true;
    return false;
}

/* Until something happens, at most that long. Returns whether a signal to stop came. */
static bool wait_for_news(struct supervisor *s, int64_t within_us)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN}, {.fd = s->ready_pipe[0], .events = POLLIN}};
    int ms = within_us <= 0 ? 0 : within_us < 60 * SECOND_US ? (int)((within_us + 999) / 1000) : 60000, signal = 0;
    bool stop = false;

    if (poll(fds, 2, ms) > 0)
        while ((signal = signals_next(s->signals, 0)))
            stop |= signal != SIGCHLD;
    reap_children(s);
    return stop;
}

static void stop_all(struct supervisor *s)
{
    int64_t deadline = clock_monotonic_us() + STOP_WITHIN_US;

    s->stopping = true;
    if (s->children[CHILD_GATEWAY].pid)
        kill(s->children[CHILD_GATEWAY].pid, SIGTERM);
    close(steal_fd(s->stop_pipe[1]));
    while (any_left(s) && clock_monotonic_us() < deadline)
        (void)wait_for_news(s, deadline - clock_monotonic_us());
    for (int i = 0; i < CHILDREN; i++) {
        if (s->children[i].pid == 0)
            continue;
        log_warning("the %s does not end: it is killed", child_names[i]);
        kill(s->children[i].pid, SIGKILL);
        waitpid(s->children[i].pid, NULL, 0);
        if (i == CHILD_GATEWAY)
            nginx_end_workers(s->children[i].pid);
    }
}

static bool wait_ready(struct supervisor *s)
{
    int64_t deadline = clock_monotonic_us() + READY_WITHIN_US, left;

    while (!s->ready && (left = deadline - clock_monotonic_us()) > 0)
        if (wait_for_news(s, left) || s->children[CHILD_SERVER].pid == 0)
            break;
    return s->ready;
}

/* Ready is what answers from outside: nginx takes its ports a moment after it has begun. */
static bool wait_gateway(struct supervisor *s)
{
    int64_t deadline = clock_monotonic_us() + READY_WITHIN_US;

    while (clock_monotonic_us() < deadline) {
        if (s->children[CHILD_GATEWAY].pid == 0)
            return false;
        if (nginx_answers(s->config))
            return true;
        if (wait_for_news(s, ANSWER_CHECK_US))
            return false;
    }
    return false;
}

static void print_where(const struct supervisor *s)
{
    _cleanup_free_ char *dashboard = config_dashboard_url(s->config);
    _cleanup_free_ char *api = config_api_url(s->config);
    _cleanup_free_ char *admin =
        s->setup_code ? xasprintf("  First admin  %s/setup?code=%s\n", dashboard, s->setup_code) : xstrdup("");
    char program[PATH_MAX] = "open-hydra-server";

    (void)(readlink("/proc/self/exe", program, sizeof(program) - 1) < 0); /* then the name alone */
    _cleanup_free_ char *text =
        xasprintf("\nopen-hydra is running.\n\n"
                  "  Dashboard    %s\n"
                  "  API          %s\n"
                  "  kubectl      export KUBECONFIG=%s\n%s"
                  "\nCtrl-C stops it. Environments keep running; this removes them:\n"
                  "  %s down --data %s --runtime %s\n\n",
                  dashboard, api, s->layout->kubeconfig, admin, program, s->config->data, s->config->runtime);
    /* In one piece: the children write there too. */
    fputs(text, stdout);
    fflush(stdout);
}

static void renew_certificates(struct supervisor *s)
{
    _cleanup_error_ struct error *err = NULL;
    int rc = keys_ensure(s->config, s->layout, &err);

    if (rc < 0)
        log_warning("certificates: %s", err->message);
    if (rc > 0 && s->children[CHILD_GATEWAY].pid) {
        log_info("the server's certificate was renewed: the gateway reads it");
        kill(s->children[CHILD_GATEWAY].pid, SIGHUP);
    }
}

static int64_t next_start(const struct supervisor *s, int64_t latest)
{
    for (int i = 0; i < CHILDREN; i++)
        if (s->children[i].pid == 0 && s->children[i].start_at < latest)
            latest = s->children[i].start_at;
    return latest;
}

static void supervise_children(struct supervisor *s)
{
    int64_t every = s->config->certificate_check_seconds * SECOND_US, check_at = clock_monotonic_us() + every;

    while (!wait_for_news(s, next_start(s, check_at) - clock_monotonic_us())) {
        int64_t now = clock_monotonic_us();
        start_what_is_due(s, now);
        if (now < check_at)
            continue;
        renew_certificates(s);
        check_at = clock_monotonic_us() + every;
    }
}

static int prepare_run(struct supervisor *s, struct error **err)
{
    if (layout_make(s->layout, s->config, err) < 0 || layout_lock(s->layout, err) < 0 ||
        layout_lock_data(s->layout, err) < 0 || claim_runtime(s->layout, s->config, err) < 0)
        return -1;
    if (nginx_end_orphans(s->layout, err) < 0 || nginx_check_ports(s->config, s->layout, err) < 0 ||
        keys_ensure(s->config, s->layout, err) < 0)
        return -1;
    return layout_listen(s->layout, s->sockets, err);
}

static int start_all(struct supervisor *s)
{
    for (int i = 0; i < CHILDREN; i++)
        start_child(s, i);
    if (!wait_ready(s)) {
        fprintf(stderr, "open-hydra-server: the server did not start; its reason stands above\n");
        return 1;
    }
    if (!wait_gateway(s)) {
        fprintf(stderr, "open-hydra-server: the gateway (nginx) did not start; its reason stands above\n");
        return 1;
    }
    print_where(s);
    notify_ready();
    supervise_children(s);
    printf("\nStopping…\n");
    return 0;
}

static int run_signals(void)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGCHLD};
    return signals_watch(wanted, ARRAY_SIZE(wanted));
}

int command_run(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    struct layout *layout = layout_new(config);
    struct supervisor s = {.config = config, .layout = layout, .signals = run_signals(), .told = BUFFER_MAX(MAX_TOLD)};

    title_set("supervisor (run)");

    if (pipe2(s.stop_pipe, O_CLOEXEC) < 0 || pipe2(s.ready_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return command_fail((error_errno(&err, errno, "pipe"), err));
    if (prepare_run(&s, &err) < 0) {
        layout_free(layout);
        return command_fail(err);
    }
    layout->rootless = rootless_find();
    int rc = start_all(&s);
    stop_all(&s);
    layout_free(layout);
    buffer_free(&s.told);
    free(s.reason);
    free(s.setup_code);
    return rc;
}
