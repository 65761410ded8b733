/* `run`: server, runner and gateway as children of one process, which starts again what ends and stops all of them
 * together. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/notify.h"
#include "cli/command.h"
#include "cli/keys.h"
#include "cli/nginx.h"
#include "cli/process.h"

#define SECOND_US INT64_C(1000000)
/* A child that lived shorter than this waits before it is started again, so that a lasting cause makes no busy loop. */
#define SHORT_LIFE_US (5 * SECOND_US)
#define RESTART_PAUSE_US (2 * SECOND_US)
#define STOP_WITHIN_US (20 * SECOND_US)
#define READY_WITHIN_US (60 * SECOND_US)
#define CERTIFICATE_CHECK_US (3600 * SECOND_US)

enum { CHILD_SERVER, CHILD_RUNNER, CHILD_GATEWAY, CHILDREN };
static const char *const child_names[CHILDREN] = {"server", "runner", "gateway (nginx)"};

struct child {
    pid_t pid; /* 0: not there */
    int64_t started, start_at;
};

struct supervisor {
    const struct config *config;
    const struct layout *layout;
    int sockets[SOCKETS];
    int stop_pipe[2];  /* children read it: it ends when we do, however that happens */
    int ready_pipe[2]; /* the server writes it */
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

static pid_t start_process(struct supervisor *s, int which)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    leave_parent(s);
    int rc = which == CHILD_SERVER ? process_server(s->config, s->layout, s->sockets, s->stop_pipe[0], s->ready_pipe[1])
                                   : process_runner(s->config, s->layout, s->sockets, s->stop_pipe[0]);
    exit(rc);
}

static void start_child(struct supervisor *s, int which)
{
    struct child *c = &s->children[which];
    _cleanup_error_ struct error *err = NULL;

    c->pid = which == CHILD_GATEWAY ? nginx_start(s->layout, &err) : start_process(s, which);
    c->started = clock_monotonic_us();
    c->start_at = 0;
    if (c->pid > 0)
        return;
    log_error("cannot start the %s: %s", child_names[which], err ? err->message : strerror(errno));
    c->pid = 0;
    c->start_at = c->started + RESTART_PAUSE_US;
}

static void child_ended(struct supervisor *s, pid_t pid, int status)
{
    int64_t now = clock_monotonic_us();

    for (int i = 0; i < CHILDREN; i++) {
        struct child *c = &s->children[i];
        if (c->pid != pid)
            continue;
        c->pid = 0;
        if (i == CHILD_GATEWAY)
            nginx_end_workers(pid);
        c->start_at = now - c->started < SHORT_LIFE_US ? now + RESTART_PAUSE_US : now;
        if (s->stopping)
            return;
        if (WIFSIGNALED(status))
            log_warning("the %s was ended by signal %d: starting it again", child_names[i], WTERMSIG(status));
        else
            log_warning("the %s ended with code %d: starting it again", child_names[i], WEXITSTATUS(status));
        return;
    }
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        child_ended(s, pid, status);
}

static bool any_left(const struct supervisor *s)
{
    for (int i = 0; i < CHILDREN; i++)
        if (s->children[i].pid)
            return true;
    return false;
}

/* A signal to stop is read off; returns whether one came. */
static bool stop_asked(struct supervisor *s, int timeout_ms)
{
    struct pollfd fd = {.fd = s->signals, .events = POLLIN};
    char info[512];

    return poll(&fd, 1, timeout_ms) > 0 && read(s->signals, info, sizeof(info)) > 0;
}

static void stop_all(struct supervisor *s)
{
    int64_t deadline = clock_monotonic_us() + STOP_WITHIN_US;

    s->stopping = true;
    if (s->children[CHILD_GATEWAY].pid)
        kill(s->children[CHILD_GATEWAY].pid, SIGTERM);
    close(steal_fd(s->stop_pipe[1]));
    while (any_left(s) && clock_monotonic_us() < deadline) {
        reap(s);
        usleep(20000);
    }
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

/* Waits for the server's «ready». Returns the set-up code, or "" where there is an administrator; NULL: it did not come
 * up. */
static char *wait_ready(struct supervisor *s)
{
    char text[512] = "";
    size_t n = 0;
    int64_t deadline = clock_monotonic_us() + READY_WITHIN_US;

    while (clock_monotonic_us() < deadline && n < sizeof(text) - 1) {
        struct pollfd fds[] = {{.fd = s->ready_pipe[0], .events = POLLIN}, {.fd = s->signals, .events = POLLIN}};
        if (poll(fds, 2, 200) > 0 && fds[1].revents)
            return NULL;
        ssize_t got = fds[0].revents ? read(s->ready_pipe[0], text + n, sizeof(text) - 1 - n) : 0;
        n += got > 0 ? (size_t)got : 0;
        if (ends_with(text, "ready\n"))
            return starts_with(text, "setup ") ? xstrndup(text + 6, strcspn(text + 6, "\n")) : xstrdup("");
        reap(s);
        if (s->children[CHILD_SERVER].pid == 0)
            return NULL;
    }
    return NULL;
}

/* Ready is what answers from outside: nginx takes its ports a moment after it has begun. */
static bool wait_gateway(struct supervisor *s)
{
    int64_t deadline = clock_monotonic_us() + READY_WITHIN_US;

    while (clock_monotonic_us() < deadline) {
        reap(s);
        if (s->children[CHILD_GATEWAY].pid == 0)
            return false;
        if (nginx_answers(s->config))
            return true;
        if (stop_asked(s, 20))
            return false;
    }
    return false;
}

static void print_where(const struct supervisor *s, const char *setup_code)
{
    _cleanup_free_ char *dashboard = config_dashboard_url(s->config);
    _cleanup_free_ char *api = config_api_url(s->config);

    printf("\nopen-hydra is running.\n\n"
           "  Dashboard    %s\n"
           "  API          %s\n"
           "  kubectl      export KUBECONFIG=%s\n",
           dashboard, api, s->layout->kubeconfig);
    if (*setup_code)
        printf("  First admin  %s/setup?code=%s\n", dashboard, setup_code);
    printf("\nCtrl-C stops it. Environments keep running; `open-hydra-server down` removes them.\n\n");
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

static void supervise(struct supervisor *s)
{
    int64_t check_at = clock_monotonic_us() + CERTIFICATE_CHECK_US;

    while (!stop_asked(s, 100)) {
        reap(s);
        int64_t now = clock_monotonic_us();
        for (int i = 0; i < CHILDREN; i++)
            if (s->children[i].pid == 0 && now >= s->children[i].start_at)
                start_child(s, i);
        if (now >= check_at) {
            renew_certificates(s);
            check_at = now + CERTIFICATE_CHECK_US;
        }
    }
}

static int prepare(struct supervisor *s, struct error **err)
{
    if (layout_make(s->layout, s->config, err) < 0 || layout_lock(s->layout, err) < 0 ||
        layout_lock_data(s->layout, err) < 0)
        return -1;
    if (nginx_check_ports(s->config, s->layout, err) < 0 || keys_ensure(s->config, s->layout, err) < 0)
        return -1;
    return layout_listen(s->layout, s->sockets, err);
}

static int start_all(struct supervisor *s)
{
    for (int i = 0; i < CHILDREN; i++)
        start_child(s, i);
    _cleanup_free_ char *code = wait_ready(s);
    if (code == NULL) {
        fprintf(stderr, "open-hydra-server: the server did not start; its reason stands above\n");
        return 1;
    }
    if (!wait_gateway(s)) {
        fprintf(stderr, "open-hydra-server: the gateway (nginx) did not start; its reason stands above\n");
        return 1;
    }
    print_where(s, code);
    notify_ready();
    supervise(s);
    printf("\nStopping…\n");
    return 0;
}

int command_run(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    struct layout *layout = layout_new(config);
    struct supervisor s = {.config = config, .layout = layout, .signals = stop_signals()};

    if (pipe2(s.stop_pipe, O_CLOEXEC) < 0 || pipe2(s.ready_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return command_fail((error_errno(&err, errno, "pipe"), err));
    if (prepare(&s, &err) < 0) {
        layout_free(layout);
        return command_fail(err);
    }
    layout->rootless = rootless_find();
    int rc = start_all(&s);
    stop_all(&s);
    layout_free(layout);
    return rc;
}
