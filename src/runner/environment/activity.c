#include "runner/environment/activity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "client/ask.h"
#include "kinds/names.h"
#include "runner/environment/activity_look.h"
#include "runner/environment/limits.h"

#define SECOND INT64_C(1000000)
#define AT_ONCE 64 /* looked at: a few descriptors each meanwhile */
#define ROUND_MS 500
#define ANSWER_MAX 262144                 /* of its own server, which may be anybody's program */
#define USAGE_US (600 * SECOND)           /* between two words of what it uses */
#define USAGE_MILLI 100                   /* less is no difference */
#define USAGE_BYTES (UINT64_C(256) << 20) /* likewise */
#define JUMP_US (5 * SECOND)              /* of the wall clock: somebody has set it */

struct one {
    char *name, *instance, *address, *token, *gpus;
    pid_t pid;
    uint64_t serial; /* of what runs under that name */
    int64_t limit_us, keep_us;

    int64_t watched_us, active_us, looked_us, next_us;
    bool absent[SOURCES]; /* its own server has no such thing */
    struct source_past past[SOURCES];
    struct runtime_work work;
    int64_t work_us;  /* when that was; 0: not yet */
    int64_t asked_us; /* when it, and the server, were asked last; 0: not yet */
    struct activity_usage usage;
    bool usage_known;
    int64_t warned_us;
    struct idle_verdict verdict;

    bool said; /* what follows was */
    int64_t said_us;
    struct activity now;
};

struct activities {
    struct activities_options o;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct map *all; /* name → struct one */
    uint64_t serial;
    int64_t now_us; /* of the last round */
};

/* --- One --- */

static void one_free(void *p)
{
    struct one *o = p;

    free(o->name);
    free(o->instance);
    free(o->address);
    free(o->token);
    free(o->gpus);
    free(o);
}

static void replace(char **field, const char *value)
{
    if (streq(*field, value))
        return;
    free(*field);
    *field = xstrdup_or_null(value);
}

static int64_t dice(int64_t max)
{
    uint32_t n;
    random_bytes(&n, sizeof(n));
    return max > 0 ? n % max : 0;
}

static struct idle_facts facts_of(const struct one *o)
{
    return (struct idle_facts){
        .limit_us = o->limit_us,
        .warning_us = idle_warning_us(o->limit_us),
        .keep_us = o->keep_us,
        .active_us = o->active_us,
        .watched_us = o->watched_us,
        .warned_us = o->warned_us,
        .told = o->past[SOURCE_PROCESSOR].sign == SIGN_TOLD,
    };
}

/* --- What is said --- */

static bool is_in_use(const struct one *o)
{
    return o->looked_us - o->active_us <= idle_look_us(o->limit_us) + idle_ask_us(o->limit_us);
}

static void say_use(const struct one *o, struct activity *out)
{
    enum source last = idle_last_busy(o->past);
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(sizeof(out->message) - 1);

    out->in_use = is_in_use(o);
    if (out->in_use) {
        snprintf(out->reason, sizeof(out->reason), "%s", last < SOURCES ? source_reason(last) : "Started");
        snprintf(out->message, sizeof(out->message), "%s",
                 last < SOURCES ? source_busy(last) : "it, or what looks after it, was started just now");
        return;
    }
    snprintf(out->reason, sizeof(out->reason), "Quiet");
    buffer_puts(&text, "quiet: ");
    idle_say_quiet(&text, o->past, o->watched_us);
    snprintf(out->message, sizeof(out->message), "%s", buffer_str(&text).p);
}

static void say(struct one *o)
{
    o->now = (struct activity){.known = true,
                               .last_us = o->active_us,
                               .usage = o->usage,
                               .usage_known = o->usage_known,
                               .verdict = o->verdict};
    say_use(o, &o->now);
    o->said = true;
    o->said_us = o->looked_us;
}

static bool differs(uint64_t a, uint64_t b, uint64_t least)
{
    uint64_t more = a > b ? a : b, less = a > b ? b : a;
    return more - less >= least && more > less + less / 2;
}

/* What is worth a write: the first look, another verdict, an hour of work, the beginning of quiet, quite other use. */
static bool is_worth_saying(const struct one *o)
{
    int64_t step = idle_step_us(o->limit_us);

    if (!o->said || o->verdict.kind != o->now.verdict.kind || o->verdict.ends_us != o->now.verdict.ends_us)
        return true;
    if (o->active_us - o->now.last_us >= step)
        return true;
    if (o->looked_us - o->active_us >= step && (o->active_us != o->now.last_us || o->now.in_use))
        return true;
    if (o->looked_us - o->said_us < (USAGE_US < step ? USAGE_US : step))
        return false;
    return differs(o->usage.cpu_milli, o->now.usage.cpu_milli, USAGE_MILLI) ||
           differs(o->usage.memory_bytes, o->now.usage.memory_bytes, USAGE_BYTES);
}

/* True: there is something else to say. */
static bool judge(struct one *o, int64_t now)
{
    struct idle_facts f = facts_of(o);

    o->verdict = idle_judge(&f, now);
    if (o->verdict.kind == IDLE_KEEP)
        o->warned_us = 0;
    else if (o->warned_us == 0)
        o->warned_us = now;
    if (o->verdict.kind == IDLE_SOON && o->verdict.ends_us < o->next_us) /* not a look later */
        o->next_us = o->verdict.ends_us;
    if (o->looked_us == 0 || !is_worth_saying(o))
        return false;
    say(o);
    return true;
}

/* --- What is told --- */

static struct one *begin(struct activities *a, const struct activity_subject *s)
{
    struct one *o = xcalloc(1, sizeof(*o));
    int64_t step = idle_step_us(s->limit_us), last = s->last_us + step;

    /* Up to a step may be missing from what was written. */
    *o = (struct one){.name = xstrdup(s->name), .serial = ++a->serial, .watched_us = a->now_us};
    o->active_us = s->last_us && last < a->now_us ? last : a->now_us;
    o->next_us = a->now_us + dice(idle_look_us(s->limit_us) / 4);
    map_set(a->all, str_from(s->name), o);
    return o;
}

void activities_watch(struct activities *a, const struct activity_subject *s)
{
    LOCK_SCOPE(&a->lock);
    struct one *o = map_get(a->all, str_from(s->name));

    if (o && (!streq(o->instance, s->instance) || !streq(o->address, s->address))) {
        one_free(map_remove(a->all, str_from(s->name)));
        o = NULL;
    }
    if (o == NULL)
        o = begin(a, s);
    replace(&o->instance, s->instance);
    replace(&o->address, s->address);
    replace(&o->token, s->token);
    replace(&o->gpus, s->gpus);
    o->pid = s->pid;
    if (o->limit_us == s->limit_us && o->keep_us == s->keep_us)
        return;
    o->limit_us = s->limit_us;
    o->keep_us = s->keep_us;
    int64_t soon = a->now_us + idle_look_us(o->limit_us);
    o->next_us = o->next_us < soon ? o->next_us : soon;
    judge(o, a->now_us);
}

void activities_drop(struct activities *a, const char *name)
{
    LOCK_SCOPE(&a->lock);
    struct one *o = map_remove(a->all, str_from(name));

    if (o)
        one_free(o);
}

bool activities_of(struct activities *a, const char *name, struct activity *out)
{
    LOCK_SCOPE(&a->lock);
    const struct one *o = map_get(a->all, str_from(name));

    if (o)
        *out = o->now;
    return o && o->now.known;
}

static int64_t shifted(int64_t us, int64_t by_us)
{
    return us ? us + by_us : 0;
}

void activities_shift(struct activities *a, int64_t by_us)
{
    LOCK_SCOPE(&a->lock);
    struct str name;
    void *v;

    a->now_us += by_us;
    for (size_t at = 0; map_next(a->all, &at, &name, &v);) {
        struct one *o = v;
        int64_t *const times[] = {&o->watched_us, &o->active_us, &o->looked_us, &o->next_us,
                                  &o->work_us,    &o->warned_us, &o->said_us,   &o->asked_us};
        for (size_t i = 0; i < ARRAY_SIZE(times); i++)
            *times[i] = shifted(*times[i], by_us);
        for (enum source s = 0; s < SOURCES; s++)
            o->past[s].busy_us = shifted(o->past[s].busy_us, by_us);
    }
}

/* --- Looking --- */

/* A copy of what is needed for a look: the lock is not held meanwhile. */
struct due {
    char *name, *instance, *address, *header, *gpus;
    pid_t pid;
    uint64_t serial;
    bool absent[SOURCES], ask;
    struct look look;
    bool work_told;
    struct buffer texts[SOURCES];
    yyjson_doc *docs[SOURCES];
    bool changed;
};

static void due_clear(struct due *d)
{
    for (enum source s = 0; s < SOURCES; s++) {
        buffer_free(&d->texts[s]);
        yyjson_doc_free(d->docs[s]);
    }
    free(d->name);
    free(d->instance);
    free(d->address);
    free(d->header);
    free(d->gpus);
}

static void copy_due(struct due *d, const struct one *o, int64_t now)
{
    *d = (struct due){
        .name = xstrdup(o->name),
        .instance = xstrdup(o->instance),
        .address = xstrdup(o->address),
        .header = o->token ? xasprintf("Authorization: token %s", o->token) : NULL,
        .gpus = xstrdup_or_null(o->gpus),
        .pid = o->pid,
        .serial = o->serial,
        .look = {.now_us = now, .before = o->work, .gpu_percent = -1},
    };
    d->look.between_us = o->work_us ? now - o->work_us : 0;
    d->ask = o->warned_us || now - o->asked_us >= idle_ask_us(o->limit_us);
    memcpy(d->absent, o->absent, sizeof(d->absent));
}

static size_t collect_due(struct activities *a, struct due *list, int64_t now)
{
    LOCK_SCOPE(&a->lock);
    struct str name;
    size_t n = 0;
    void *v;

    a->now_us = now;
    for (size_t at = 0; n < AT_ONCE && map_next(a->all, &at, &name, &v);) {
        struct one *o = v;
        if (o->next_us > now)
            continue;
        /* As long as it is being looked at, nobody else takes it. */
        o->next_us = now + idle_look_us(o->limit_us) * 3 / 4 + dice(idle_look_us(o->limit_us) / 2);
        copy_due(&list[n++], o, now);
    }
    return n;
}

static void look_at_work(struct activities *a, struct due *d)
{
    struct runtime *r = a->o.runtime;

    d->work_told = d->pid && r->ops->work && r->ops->work(r, d->instance, d->pid, &d->look.after, NULL) == 0;
    if (!d->work_told)
        d->look.between_us = 0;
}

static bool uses_gpu(const struct runtime_gpu_use *uses, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (streq(uses[i].id, id))
            return uses[i].processes > 0;
    return true; /* nobody knows who uses it */
}

/* What the others do on one that it shares with them counts as nothing, and hides nothing that it does itself. */
static void add_gpu(struct look *l, int utilization, bool own)
{
    int percent = own ? utilization : 0;

    if (utilization < 0)
        return;
    if (percent > l->gpu_percent)
        l->gpu_percent = percent;
    l->gpu_is_own |= own;
}

static void look_at_its_gpus(struct activities *a, struct due *d)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct str rest = str_from(d->gpus), id;
    struct runtime_gpu_use *uses = NULL;
    size_t n = 0;

    d->look.has_gpus = d->gpus != NULL;
    if (d->gpus && a->o.runtime->ops->gpu_use)
        a->o.runtime->ops->gpu_use(a->o.runtime, arena, d->instance, &uses, &n);
    while (d->gpus && str_split(&rest, ',', &id)) {
        const struct runtime_gpu *g = runtime_find_gpu(a->o.runtime, arena, arena_strndup(arena, id.p, id.n));
        if (g)
            add_gpu(&d->look, g->utilization, g->units <= 1 || uses_gpu(uses, n, g->id));
    }
}

static bool is_asked(const struct due *d)
{
    return d->ask && look_at(&d->look, SOURCE_PROCESSOR).busy_us != d->look.now_us;
}

/* False: the server gives no answer, and so it would not for the others. */
static bool ask_for_visits(struct activities *a, struct due *d)
{
    _cleanup_free_ char *path = xasprintf(PLURAL_DEVICES "/%s/visits", d->name);
    _cleanup_json_ yyjson_doc *answer = NULL;

    _cleanup_error_ struct error *err = NULL;

    if (client_call(a->o.client, &(struct client_request){"GET", path, NULL, NULL}, &answer, &err) < 0)
        return err->reason != REASON_SERVICE_UNAVAILABLE && err->reason != REASON_TIMEOUT;
    const char *when = json_str_at(yyjson_doc_get_root(answer), "lastVisit");
    d->look.visits_told = when == NULL || timestamp_parse(str_from(when), &d->look.visit_us) == 0;
    return true;
}

static void look_outside(struct activities *a, struct due *list, size_t n)
{
    bool answers = true;

    for (size_t i = 0; i < n; i++) {
        look_at_work(a, &list[i]);
        look_at_its_gpus(a, &list[i]);
        answers = answers && (!is_asked(&list[i]) || ask_for_visits(a, &list[i]));
    }
}

/* Those that are quiet as far as the kernel tells are asked themselves, all at once, and not at each look. */
static size_t put_questions(struct due *list, size_t n, struct question *questions)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        for (enum source s = 0; s < SOURCES; s++) {
            struct due *d = &list[i];
            if (look_path(s) == NULL || d->absent[s] || !is_asked(d))
                continue;
            d->texts[s] = BUFFER_MAX(ANSWER_MAX);
            questions[count++] = (struct question){
                .address = d->address, .path = look_path(s), .header = d->header, .body = &d->texts[s]};
        }
    return count;
}

static void take_answer(struct due *d, enum source s, const struct question *q)
{
    struct look_answer *answer = &d->look.answers[s];

    /* What fails now may come back; what refuses us, or is somebody else's page, does not. */
    answer->told = q->outcome == ASK_ANSWERED && q->status < 500;
    if (!answer->told || q->status != 200)
        return;
    d->docs[s] = json_parse(buffer_str(q->body), NULL);
    answer->root = yyjson_doc_get_root(d->docs[s]);
    answer->there = answer->root != NULL;
}

static void ask_all(struct activities *a, struct due *list, size_t n)
{
    struct question *questions = xcalloc(n * SOURCES + 1, sizeof(*questions));
    size_t count = put_questions(list, n, questions);

    if (count)
        transport_ask(questions, count, limits.ask_answer_ms, a->o.stop_fd);
    for (size_t i = 0; i < n; i++)
        for (enum source s = 0; s < SOURCES; s++)
            for (size_t k = 0; k < count; k++)
                if (questions[k].body == &list[i].texts[s])
                    take_answer(&list[i], s, &questions[k]);
    free(questions);
}

/* --- What comes of it --- */

static void take_usage(struct one *o, const struct due *d)
{
    const struct look *l = &d->look;

    if (!d->work_told) {
        o->work_us = 0;
        return;
    }
    o->work = l->after;
    o->work_us = l->now_us;
    o->usage.memory_bytes = l->after.memory_bytes;
    o->usage.processes = l->after.tasks;
    if (l->between_us <= 0 || l->after.cpu_us < l->before.cpu_us)
        return;
    o->usage.cpu_milli = (l->after.cpu_us - l->before.cpu_us) * 1000 / (uint64_t)l->between_us;
    o->usage_known = true;
}

/* Who cannot be asked is as it was when it could. */
static void take_sighting(struct source_past *p, const struct sighting *seen, int64_t now)
{
    if (seen->sign == SIGN_UNTOLD) {
        if (p->sign != SIGN_TOLD)
            p->sign = SIGN_UNTOLD;
        else if (p->busy)
            p->busy_us = now;
        return;
    }
    p->sign = seen->sign;
    p->busy = seen->busy_us == now;
    if (seen->busy_us > p->busy_us)
        p->busy_us = seen->busy_us;
}

/* Whether a look says anything of that source: what was not asked is as it was. */
static bool tells_of(const struct one *o, const struct due *d, enum source s)
{
    bool by_asking = look_path(s) || s == SOURCE_VISITS;
    return !o->absent[s] && (!by_asking || is_asked(d));
}

static void take_sightings(struct one *o, const struct due *d)
{
    for (enum source s = 0; s < SOURCES; s++) {
        struct sighting seen = look_at(&d->look, s);
        if (!tells_of(o, d, s))
            continue;
        /* An empty list may be longer later: only what gives none is not asked again. */
        o->absent[s] = look_path(s) && d->look.answers[s].told && !yyjson_is_arr(d->look.answers[s].root);
        take_sighting(&o->past[s], &seen, d->look.now_us);
        if (o->past[s].busy_us > o->active_us)
            o->active_us = o->past[s].busy_us;
    }
    /* The kernel's numbers are not held as they were: without them nothing is known. */
    if (!d->work_told)
        o->past[SOURCE_PROCESSOR].sign = SIGN_UNTOLD;
}

static void take_look(struct one *o, struct due *d)
{
    if (is_asked(d))
        o->asked_us = d->look.now_us;
    take_sightings(o, d);
    take_usage(o, d);
    /* The first sample says nothing yet, and the second comes soon enough. */
    if (d->look.between_us > 0 || !d->work_told)
        o->looked_us = d->look.now_us;
    d->changed = judge(o, d->look.now_us);
}

static void take_looks(struct activities *a, struct due *list, size_t n)
{
    LOCK_SCOPE(&a->lock);

    for (size_t i = 0; i < n; i++) {
        struct one *o = map_get(a->all, str_from(list[i].name));
        if (o && o->serial == list[i].serial)
            take_look(o, &list[i]);
    }
}

void activities_round(struct activities *a, int64_t now)
{
    struct due *list = xcalloc(AT_ONCE, sizeof(*list));
    size_t n = collect_due(a, list, now);

    look_outside(a, list, n);
    ask_all(a, list, n);
    if (!stop_said(a->o.stop_fd))
        take_looks(a, list, n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].changed)
            a->o.changed(a->o.arg, list[i].name);
        due_clear(&list[i]);
    }
    free(list);
}

/* --- Life --- */

/* The wall clock, but for its jumps: spans are the monotonic one's. */
struct steady {
    int64_t wall_us, monotonic_us;
};

static int64_t steady_now(struct steady *c, struct activities *a)
{
    int64_t wall = clock_realtime_us(), now = c->wall_us + clock_monotonic_us() - c->monotonic_us;

    if (wall - now < JUMP_US && now - wall < JUMP_US)
        return now;
    activities_shift(a, wall - now);
    *c = (struct steady){wall, clock_monotonic_us()};
    return wall;
}

static void *look_again_and_again(void *arg)
{
    struct activities *a = arg;
    struct steady clock = {clock_realtime_us(), clock_monotonic_us()};

    while (!stop_wait(a->o.stop_fd, ROUND_MS))
        activities_round(a, steady_now(&clock, a));
    return NULL;
}

struct activities *activities_new(const struct activities_options *options)
{
    struct activities *a = xcalloc(1, sizeof(*a));

    a->o = *options;
    a->all = map_new();
    a->now_us = clock_realtime_us();
    pthread_mutex_init(&a->lock, NULL);
    return a;
}

void activities_start(struct activities *a)
{
    a->started = true;
    a->thread = thread_start("activity", look_again_and_again, a);
}

void activities_stop(struct activities *a)
{
    if (a->started)
        pthread_join(a->thread, NULL);
    a->started = false;
}

void activities_free(struct activities *a)
{
    activities_stop(a);
    map_free(a->all, one_free);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
