#include "runner/relay/relays.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "client/transport.h"
#include "runner/relay/find.h"
#include "runner/relay/groups.h"
#include "runner/relay/launch.h"
#include "runner/relay/listening.h"
#include "runner/relay/root.h"

#define LOOK_MS 3000         /* whether somebody still listens on a port */
#define WAIT_MS 20           /* until somebody does: growing to a fiftieth of the time … */
#define WAIT_LONGEST_MS 1000 /* … or this */
#define AGAIN_MS 100         /* after a failure, doubled each time … */
#define AGAIN_DOUBLED 8      /* … to half a minute */
#define SOON_US 1000000      /* one that ends sooner has failed */

struct relay {
    char *instance, *socket, *hidden;
    pid_t pid; /* of what runs */
    int process;
    uid_t user;
    gid_t gateway;
    uint16_t port;
    /* The thread's alone: */
    struct relay_process self;
    enum listening to; /* where it hands bytes to */
    bool looked_for, is_hidden;
    int64_t started_us, unheard_us; /* unheard: since when nobody listens; monotonic */
    unsigned failures;
    /* Under the lock: */
    int64_t next_us;
    bool busy, dropped, over; /* over: with what runs its relay has ended */
};

struct relays {
    char *root_path;
    int root; /* the thread's alone; -1: not made yet */
    int stop_fd, wake_fd;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct map *all; /* socket → struct relay */
};

const char *relays_missing(void)
{
    return relay_program() ? NULL : RELAY_PACKAGE " is not installed";
}

/* --- One --- */

static void relay_free(void *p)
{
    struct relay *r = p;

    cleanup_closep(&r->process);
    cleanup_closep(&r->self.fd);
    free(r->instance);
    free(r->socket);
    free(r->hidden);
    free(r);
}

static bool has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

static void take_self(struct relay *r, struct relay_process found)
{
    cleanup_closep(&r->self.fd);
    r->self = found;
    r->started_us = clock_monotonic_us();
}

/* A runner before this one may have started it, and put its socket out of sight. */
static void look_for_self(struct relay *r)
{
    if (r->looked_for)
        return;
    r->looked_for = true;
    r->to = LISTENING_UNKNOWN;
    take_self(r, relay_find(r->socket, r->user));
    if (r->self.fd < 0) {
        take_self(r, relay_find(r->hidden, r->user));
        r->is_hidden = r->self.fd >= 0;
    }
}

/* It ends a moment before the process with which it ends. */
static bool note_end(struct relay *r, int64_t now)
{
    if (!has_ended(r->self.fd))
        return false;
    r->failures = now - r->started_us < SOON_US ? r->failures + 1 : 0;
    take_self(r, (struct relay_process){0, -1});
    return true;
}

static void end_self(struct relay *r)
{
    if (r->self.fd >= 0)
        syscall(SYS_pidfd_send_signal, r->self.fd, SIGKILL, NULL, 0);
    take_self(r, (struct relay_process){0, -1});
    unlink(r->hidden);
    r->is_hidden = false;
}

static void hide(struct relay *r, bool hidden)
{
    if (r->self.fd < 0 || r->is_hidden == hidden)
        return;
    if (rename(hidden ? r->socket : r->hidden, hidden ? r->hidden : r->socket) == 0)
        r->is_hidden = hidden;
}

/* --- Its next step --- */

static unsigned pause_until_heard(const struct relay *r, int64_t now)
{
    int64_t ms = (now - r->unheard_us) / 1000 / 50;

    return ms < WAIT_MS ? WAIT_MS : ms < WAIT_LONGEST_MS ? (unsigned)ms : WAIT_LONGEST_MS;
}

static unsigned pause_after_failure(const struct relay *r)
{
    return AGAIN_MS << (r->failures < AGAIN_DOUBLED ? r->failures : AGAIN_DOUBLED);
}

static int start(struct relays *all, struct relay *r, struct error **err)
{
    char address[32];
    struct relay_launch l = {
        .process = r->process, .socket = r->socket, .user = r->user, .gateway = r->gateway, .address = address};

    snprintf(address, sizeof(address), "%s:%u", r->to == LISTENING_V6 ? "::1" : "127.0.0.1", r->port);
    if (all->root < 0)
        all->root = relay_root_make(all->root_path, err);
    l.root = all->root;
    if (l.root < 0 || relay_launch(&l, err) < 0)
        return -1;
    take_self(r, relay_find(r->socket, r->user));
    if (r->self.fd < 0)
        return error_set(err, REASON_INTERNAL, "a relay ended at once");
    relay_groups_join(r->self.pid, r->pid);
    return 0;
}

static void start_or_say(struct relays *all, struct relay *r, enum listening to)
{
    _cleanup_error_ struct error *err = NULL;
    bool again = r->to != LISTENING_UNKNOWN;

    r->to = to;
    if (start(all, r, &err) == 0) {
        if (again)
            log_info("%s: port %u is relayed again", r->instance, r->port);
        return;
    }
    if (!has_ended(r->process))
        log_warning("%s: port %u: %s", r->instance, r->port, err->message);
    r->failures++;
}

/* Returns in how many milliseconds the next is. */
static unsigned take_step(struct relays *all, struct relay *r, int64_t now)
{
    enum listening to = listening_on(r->pid, r->port);

    look_for_self(r);
    if (note_end(r, now))
        return pause_after_failure(r);
    if (to == LISTENING_NOT) {
        hide(r, true);
        r->unheard_us = r->unheard_us ? r->unheard_us : now;
        return pause_until_heard(r, now);
    }
    r->unheard_us = 0;
    if (to == LISTENING_UNKNOWN)
        to = r->to == LISTENING_UNKNOWN ? LISTENING_V4 : r->to;
    if (r->to == LISTENING_UNKNOWN && r->self.fd >= 0) /* found */
        r->to = to;
    if (r->to != to)
        end_self(r);
    hide(r, false);
    if (r->self.fd < 0)
        start_or_say(all, r, to);
    return r->self.fd < 0 ? pause_after_failure(r) : LOOK_MS;
}

/* --- The thread --- */

/* Those whose turn it is, or whose process has ended. */
static size_t collect_due(struct relays *all, int64_t now, struct relay ***out)
{
    LOCK_SCOPE(&all->lock);
    struct relay **list = xcalloc(map_size(all->all) + 1, sizeof(struct relay *));
    struct str key;
    size_t n = 0;
    void *v;

    for (size_t at = 0; map_next(all->all, &at, &key, &v);) {
        struct relay *r = v;
        if (r->over || (r->next_us > now && !has_ended(r->self.fd)))
            continue;
        r->busy = true;
        list[n++] = r;
    }
    *out = list;
    return n;
}

static void finish(struct relays *all, struct relay *r, bool over, int64_t next_us)
{
    LOCK_SCOPE(&all->lock);
    r->busy = false;
    r->over = over;
    r->next_us = next_us;
    if (r->dropped)
        relay_free(r);
}

static void take_steps(struct relays *all)
{
    struct relay **due;
    size_t n = collect_due(all, clock_monotonic_us(), &due);

    for (size_t i = 0; i < n; i++) {
        int64_t now = clock_monotonic_us();
        bool over = has_ended(due[i]->process);
        unsigned pause = over ? 0 : take_step(all, due[i], now);
        finish(all, due[i], over, now + (int64_t)pause * 1000);
    }
    free(due);
}

/* Until the next turn; `fds`: what ends it before. */
static int collect_waits(struct relays *all, struct pollfd **fds, size_t *n)
{
    LOCK_SCOPE(&all->lock);
    int64_t now = clock_monotonic_us(), next = now + INT64_C(60000000);
    struct pollfd *list = xcalloc(map_size(all->all) + 2, sizeof(*list));
    struct str key;
    void *v;

    list[0] = (struct pollfd){.fd = all->stop_fd, .events = POLLIN};
    list[1] = (struct pollfd){.fd = all->wake_fd, .events = POLLIN};
    *n = 2;
    for (size_t at = 0; map_next(all->all, &at, &key, &v);) {
        const struct relay *r = v;
        if (r->over)
            continue;
        if (r->self.fd >= 0)
            list[(*n)++] = (struct pollfd){.fd = r->self.fd, .events = POLLIN};
        next = r->next_us < next ? r->next_us : next;
    }
    *fds = list;
    return next > now ? (int)((next - now + 999) / 1000) : 0;
}

static void *relay_on(void *arg)
{
    struct relays *all = arg;

    while (!stop_said(all->stop_fd)) {
        struct pollfd *fds;
        uint64_t woken;
        size_t n;
        int ms = collect_waits(all, &fds, &n);
        poll(fds, n, ms);
        free(fds);
        ssize_t ignored _unused_ = read(all->wake_fd, &woken, sizeof(woken));
        if (!stop_said(all->stop_fd))
            take_steps(all);
    }
    return NULL;
}

/* --- What is told --- */

static void wake(struct relays *all)
{
    uint64_t one = 1;
    ssize_t ignored _unused_ = write(all->wake_fd, &one, sizeof(one));
}

static void drop(struct relay *r)
{
    if (r->busy)
        r->dropped = true;
    else
        relay_free(r);
}

static struct relay *relay_new(const struct relay_target *t, const struct relay_port *p)
{
    struct relay *r = xcalloc(1, sizeof(*r));

    *r = (struct relay){.instance = xstrdup(t->instance),
                        .socket = xstrdup(p->socket),
                        .hidden = xasprintf("%s.away", p->socket),
                        .pid = t->pid,
                        .process = fcntl(t->process, F_DUPFD_CLOEXEC, 3),
                        .user = t->user,
                        .gateway = t->gateway,
                        .port = p->port,
                        .self.fd = -1};
    return r;
}

/* Whether something is new. */
static bool serve(struct relays *all, const struct relay_target *target, const struct relay_port *port)
{
    ASSERT_LOCKED(&all->lock);
    const struct relay *before = map_get(all->all, str_from(port->socket));

    if (before && before->pid == target->pid && before->port == port->port && !before->over)
        return false;
    struct relay *replaced = map_set(all->all, str_from(port->socket), relay_new(target, port));
    if (replaced)
        drop(replaced);
    return true;
}

void relays_serve(struct relays *all, const struct relay_target *target, const struct relay_port *ports, size_t n)
{
    bool new = false;

    assert(target->pid > 1 && target->process >= 0 && target->user != 0);
    LOCK_SCOPE(&all->lock);
    for (size_t i = 0; i < n; i++)
        if (serve(all, target, &ports[i]))
            new = true;
    if (new)
        wake(all);
}

void relays_forget(struct relays *all, const char *instance)
{
    LOCK_SCOPE(&all->lock);
    struct str key;
    void *v;

    for (size_t at = 0; map_next(all->all, &at, &key, &v);) {
        struct relay *r = v;
        if (!streq(r->instance, instance))
            continue;
        map_remove(all->all, str_from(r->socket));
        drop(r);
        at = 0;
    }
}

/* --- Life --- */

struct relays *relays_new(const char *root, int stop_fd)
{
    struct relays *all = xcalloc(1, sizeof(*all));

    *all = (struct relays){.root_path = xstrdup(root),
                           .root = -1,
                           .stop_fd = stop_fd,
                           .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                           .all = map_new()};
    if (all->wake_fd < 0)
        abort();
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

void relays_start(struct relays *all)
{
    all->started = true;
    all->thread = thread_start("relays", relay_on, all);
}

void relays_free(struct relays *all)
{
    if (all->started)
        pthread_join(all->thread, NULL);
    relay_root_remove(all->root_path);
    cleanup_closep(&all->root);
    cleanup_closep(&all->wake_fd);
    map_free(all->all, relay_free);
    pthread_mutex_destroy(&all->lock);
    free(all->root_path);
    free(all);
}
