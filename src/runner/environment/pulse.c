#include "runner/environment/pulse.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "client/ask.h"
#include "client/transport.h"
#include "runner/environment/limits.h"

#define AT_ONCE 128 /* asked: a descriptor each meanwhile */
#define ROUND_MS 500
#define FIRST_WITHIN_MS 3000
#define MANY 4 /* of so few most say nothing about the machine */

struct one {
    char *name, *address, *path; /* address NULL: not asked yet */
    uint64_t serial;             /* of what runs under that name */
    struct runtime_process process;
    int64_t next_us;
    unsigned misses, refusals; /* in a row */
    struct pulse pulse;
};

struct pulses {
    struct pulses_options o;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct map *all; /* name → struct one */
    uint64_t serial;
};

/* --- One --- */

static bool has_process(const struct one *o)
{
    return o->process.pid && o->process.fd >= 0;
}

static void one_free(void *p)
{
    struct one *o = p;

    if (has_process(o))
        close(o->process.fd);
    free(o->name);
    free(o->address);
    free(o->path);
    free(o);
}

static struct one *one_of(struct pulses *p, const char *name)
{
    ASSERT_LOCKED(&p->lock);
    struct one *o = map_get(p->all, str_from(name));

    if (o)
        return o;
    o = xcalloc(1, sizeof(*o));
    *o = (struct one){.name = xstrdup(name), .serial = ++p->serial};
    map_set(p->all, str_from(name), o);
    return o;
}

static unsigned dice(unsigned max)
{
    uint32_t n;
    random_bytes(&n, sizeof(n));
    return max ? n % max : 0;
}

static bool has_ended(const struct one *o)
{
    struct pollfd fd = {.fd = o->process.fd, .events = POLLIN};
    return has_process(o) && poll(&fd, 1, 0) > 0;
}

/* --- What is told --- */

/* Elsewhere it is another that is asked: what the one before said, or is being asked, does not count. */
static void begin_at(struct pulses *p, struct one *o, const char *address, const char *path)
{
    free(o->address);
    free(o->path);
    o->address = xstrdup(address);
    o->path = xstrdup(path);
    o->serial = ++p->serial;
    o->misses = o->refusals = 0;
    o->pulse = (struct pulse){0};
    o->next_us = clock_monotonic_us() + (int64_t)dice(FIRST_WITHIN_MS) * 1000;
}

void pulses_watch(struct pulses *p, const char *name, const char *address, const char *path)
{
    LOCK_SCOPE(&p->lock);
    struct one *o = one_of(p, name);

    if (o->address == NULL || (!streq(o->address, address) && o->pulse.state != PULSE_GONE))
        begin_at(p, o, address, path);
}

void pulses_process(struct pulses *p, const char *name, struct runtime_process *process)
{
    LOCK_SCOPE(&p->lock);
    struct one *o = one_of(p, name);

    if (process->pid == 0 || (has_process(o) && o->process.pid == process->pid))
        return;
    if (process->fd < 0) {
        o->next_us = 0; /* there is none to be seen: the address says more */
        return;
    }
    if (has_process(o))
        close(o->process.fd);
    o->process = *process;
    process->fd = -1;
}

void pulses_drop(struct pulses *p, const char *name, bool end)
{
    LOCK_SCOPE(&p->lock);
    struct one *o = map_remove(p->all, str_from(name));

    if (o == NULL)
        return;
    if (end && has_process(o) && o->process.own && !has_ended(o)) {
        log_warning("%s: its process %d outlived its container: killed", name, (int)o->process.pid);
        syscall(SYS_pidfd_send_signal, o->process.fd, SIGKILL, NULL, 0);
    }
    one_free(o);
}

static bool most_are_silent(const struct pulses *p)
{
    size_t asked = 0, silent = 0;
    struct str name;
    void *v;

    for (size_t at = 0; map_next(p->all, &at, &name, &v);) {
        const struct one *o = v;
        asked += o->address != NULL;
        silent += o->pulse.state == PULSE_SILENT;
    }
    return asked >= MANY && silent * 2 > asked;
}

struct pulse pulses_of(struct pulses *p, const char *name)
{
    LOCK_SCOPE(&p->lock);
    const struct one *o = map_get(p->all, str_from(name));
    struct pulse found = o ? o->pulse : (struct pulse){0};

    found.many = most_are_silent(p);
    return found;
}

/* --- Asking --- */

struct asked {
    char *name, *address, *path;
    uint64_t serial;
    bool changed;
};

static enum pulse_state judge_answer(struct one *o, const struct question *q)
{
    o->refusals = q->outcome == ASK_CLOSED ? o->refusals + 1 : 0;
    o->misses = q->outcome == ASK_ANSWERED && q->status < 500 ? 0 : o->misses + 1;
    if (o->misses == 0)
        return PULSE_WELL;
    if (o->refusals >= limits.closed_misses)
        return PULSE_CLOSED;
    if (o->misses < limits.silent_misses || o->refusals)
        return o->pulse.state;
    return q->outcome == ASK_SILENT ? PULSE_SILENT : PULSE_FAILING;
}

/* Soon again until it is clear; else each at a time of its own, so that many do not come together. */
static int64_t next_after(const struct one *o, int64_t now)
{
    if (o->misses && (o->misses < limits.silent_misses || o->refusals))
        return now + (int64_t)limits.ask_again_ms * 1000;
    return now + (int64_t)limits.ask_seconds * 750000 + dice(limits.ask_seconds * 500000);
}

/* True: it is another state now. */
static bool note_answer(struct one *o, const struct question *q, int64_t now)
{
    enum pulse_state before = o->pulse.state;

    o->pulse.state = judge_answer(o, q);
    o->pulse.status = q->status;
    if (o->misses <= 1)
        o->pulse.since_us = now;
    o->next_us = next_after(o, now);
    return o->pulse.state != before;
}

static bool is_due(const struct one *o, int64_t now)
{
    return o->pulse.state != PULSE_GONE && o->address && o->next_us <= now;
}

static bool finds_ended(struct one *o, int64_t now)
{
    if (o->pulse.state == PULSE_GONE || !has_ended(o))
        return false;
    o->pulse = (struct pulse){.state = PULSE_GONE, .since_us = now};
    return true;
}

/* Copies of those that ended, which are not asked, and of those whose turn it is. The lock is not held while they are
 * asked. */
static size_t collect_due(struct pulses *p, int64_t now, struct asked **out)
{
    LOCK_SCOPE(&p->lock);
    struct asked *list = xcalloc(map_size(p->all) + 1, sizeof(*list));
    struct str name;
    size_t n = 0;
    void *v;

    for (size_t at = 0; map_next(p->all, &at, &name, &v);) {
        struct one *o = v;
        if (finds_ended(o, now))
            list[n++] = (struct asked){.name = xstrdup(o->name), .changed = true};
        else if (is_due(o, now))
            list[n++] = (struct asked){xstrdup(o->name), xstrdup(o->address), xstrdup(o->path), o->serial, false};
    }
    *out = list;
    return n;
}

static void take_answers(struct pulses *p, struct asked *asked, size_t n, const struct question *questions, int64_t now)
{
    LOCK_SCOPE(&p->lock);

    for (size_t i = 0; i < n; i++) {
        struct one *o = map_get(p->all, str_from(asked[i].name));
        if (questions[i].outcome != ASK_STOPPED && o && o->serial == asked[i].serial)
            asked[i].changed = note_answer(o, &questions[i], now);
    }
}

static void ask_some(struct pulses *p, struct asked *asked, size_t n, int64_t now)
{
    struct question questions[AT_ONCE] = {0};

    for (size_t i = 0; i < n; i++)
        questions[i] = (struct question){.address = asked[i].address, .path = asked[i].path};
    transport_ask(questions, n, limits.ask_answer_ms, p->o.stop_fd);
    take_answers(p, asked, n, questions, now);
}

static int asked_last(const void *a, const void *b)
{
    return (((const struct asked *)a)->address != NULL) - (((const struct asked *)b)->address != NULL);
}

void pulses_round(struct pulses *p, int64_t now)
{
    struct asked *list;
    size_t n = collect_due(p, now, &list), ended = 0;

    qsort(list, n, sizeof(*list), asked_last);
    while (ended < n && list[ended].address == NULL)
        ended++;
    for (size_t i = ended; i < n; i += AT_ONCE)
        ask_some(p, list + i, n - i < AT_ONCE ? n - i : AT_ONCE, now);
    for (size_t i = 0; i < n; i++) {
        if (list[i].changed)
            p->o.changed(p->o.arg, list[i].name);
        free(list[i].name);
        free(list[i].address);
        free(list[i].path);
    }
    free(list);
}

/* --- Life --- */

static void *ask_again_and_again(void *arg)
{
    struct pulses *p = arg;

    while (!stop_wait(p->o.stop_fd, ROUND_MS))
        pulses_round(p, clock_monotonic_us());
    return NULL;
}

struct pulses *pulses_new(const struct pulses_options *options)
{
    struct pulses *p = xcalloc(1, sizeof(*p));

    p->o = *options;
    p->all = map_new();
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pulses_start(struct pulses *p)
{
    p->started = true;
    p->thread = thread_start("pulse", ask_again_and_again, p);
}

void pulses_free(struct pulses *p)
{
    if (p->started)
        pthread_join(p->thread, NULL);
    map_free(p->all, one_free);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
