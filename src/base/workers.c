#include "base/workers.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"

#define LATER_MAX 1000

struct job {
    struct job *next;
    struct owner *owner;
    void (*fn)(void *);
    void *arg;
    size_t bytes;
};

/* Somebody whose work waits or runs. */
struct owner {
    struct owner *next;       /* whose turn comes afterwards, while something waits */
    struct job *first, *last; /* what waits */
    size_t jobs, bytes;       /* what waits or runs */
    size_t later;
    char *name;
};

/* Not queued before its moment. */
struct later {
    struct later *next;
    int64_t due_us;
    struct job *job;
    void (*drop)(void *);
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct workers_limits limits;
    size_t jobs, bytes;
    struct map *owners;  /* name → owner */
    struct later *later; /* in order of their moments */
    size_t later_len;
    struct owner *first, *last; /* in turn */
    bool ending;
    size_t threads_len;
    pthread_t threads[];
};

/* --- Turns (all with the lock held) --- */

static void queue_owner(struct workers *w, struct owner *o)
{
    o->next = NULL;
    *(w->last ? &w->last->next : &w->first) = o;
    w->last = o;
}

static struct job *next_job(struct workers *w)
{
    struct owner *o = w->first;
    struct job *job = o->first;

    w->first = o->next;
    if (w->first == NULL)
        w->last = NULL;
    o->first = job->next;
    if (o->first)
        queue_owner(w, o);
    else
        o->last = NULL;
    return job;
}

static struct owner *owner_of(struct workers *w, const char *name)
{
    struct owner *o = map_get(w->owners, str_from(name));

    if (o == NULL) {
        o = xcalloc(1, sizeof(*o));
        o->name = xstrdup(name);
        map_set(w->owners, str_from(name), o);
    }
    return o;
}

static void queue_job(struct workers *w, struct job *job)
{
    struct owner *o = job->owner;

    if (o->first == NULL)
        queue_owner(w, o);
    *(o->last ? &o->last->next : &o->first) = job;
    o->last = job;
    o->jobs++;
    o->bytes += job->bytes;
    w->jobs++;
    w->bytes += job->bytes;
}

static void finished(struct workers *w, struct job *job)
{
    struct owner *o = job->owner;

    w->jobs--;
    w->bytes -= job->bytes;
    o->jobs--;
    o->bytes -= job->bytes;
    if (o->jobs == 0 && o->later == 0) {
        map_remove(w->owners, str_from(o->name));
        free(o->name);
        free(o);
    }
    free(job);
}

/* What was to be done later: its moment has come; or they end, and it does not come any more. */
static void queue_due(struct workers *w)
{
    struct later *l;

    while ((l = w->later) && (w->ending || l->due_us <= clock_monotonic_us())) {
        w->later = l->next;
        w->later_len--;
        if (w->ending)
            l->job->fn = l->drop;
        l->job->owner->later--;
        queue_job(w, l->job);
        free(l);
    }
}

/* --- Threads --- */

/* Returns false at the end. */
static bool wait_for_work(struct workers *w)
{
    for (;;) {
        queue_due(w);
        if (w->first)
            return true;
        if (w->ending)
            return false;
        if (w->later)
            cond_wait_until(&w->wake, &w->lock, w->later->due_us);
        else
            pthread_cond_wait(&w->wake, &w->lock);
    }
}

static void *run(void *arg)
{
    struct workers *w = arg;

    pthread_mutex_lock(&w->lock);
    while (wait_for_work(w)) {
        struct job *job = next_job(w);
        /* Several may have become due at once, and perhaps it was we who waited for the next moment. */
        if (w->first || w->later)
            pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        job->fn(job->arg);
        pthread_mutex_lock(&w->lock);
        finished(w, job);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct workers *workers_new(const char *name, size_t threads, const struct workers_limits *limits)
{
    struct workers *w = xcalloc(1, sizeof(*w) + threads * sizeof(pthread_t));

    pthread_mutex_init(&w->lock, NULL);
    cond_init_monotonic(&w->wake);
    w->limits = *limits;
    w->owners = map_new();
    for (w->threads_len = 0; w->threads_len < threads; w->threads_len++)
        w->threads[w->threads_len] = thread_start(name, run, w);
    return w;
}

/* --- Limits --- */

static bool fits(size_t used, size_t more, size_t limit, bool reserved)
{
    if (!reserved)
        limit -= limit / 4;
    return limit == 0 || (more <= limit && used <= limit - more);
}

static bool has_room(const struct workers *w, const struct owner *o, const struct work *work)
{
    const struct workers_limits *l = &w->limits;

    if (w->ending || !fits(w->jobs, 1, l->jobs, work->reserved) ||
        !fits(w->bytes, work->bytes, l->bytes, work->reserved))
        return false;
    return work->reserved ||
           (fits(o ? o->jobs : 0, 1, l->owner_jobs, true) && fits(o ? o->bytes : 0, work->bytes, l->owner_bytes, true));
}

static struct job *job_new(struct workers *w, const struct work *work)
{
    struct job *job = xcalloc(1, sizeof(*job));

    *job = (struct job){.owner = owner_of(w, work->owner), .fn = work->fn, .arg = work->arg, .bytes = work->bytes};
    return job;
}

int workers_submit(struct workers *w, const struct work *work)
{
    LOCK_SCOPE(&w->lock);

    if (!has_room(w, map_get(w->owners, str_from(work->owner)), work))
        return -1;
    queue_job(w, job_new(w, work));
    pthread_cond_signal(&w->wake);
    return 0;
}

int workers_submit_at(struct workers *w, int64_t due_us, const struct work *work, void (*drop)(void *))
{
    LOCK_SCOPE(&w->lock);
    struct later **at = &w->later;

    if (w->later_len == LATER_MAX || w->ending)
        return -1;
    while (*at && (*at)->due_us <= due_us)
        at = &(*at)->next;
    struct later *new = xcalloc(1, sizeof(*new));
    *new = (struct later){*at, due_us, job_new(w, work), drop};
    new->job->owner->later++;
    *at = new;
    w->later_len++;
    /* Whoever waits until a later moment has to look again. */
    pthread_cond_signal(&w->wake);
    return 0;
}

void workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->threads_len; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    map_free(w->owners, NULL);
    free(w);
}
