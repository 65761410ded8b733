#include "runner/environment/images.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/thread.h"
#include "runner/environment/limits.h"
#include "runner/environment/queue.h"

#define PULLS 2 /* at once: more share one line */
#define LOCAL "localhost/"
#define AWAY_SECONDS 5 /* until an engine that was away is asked again */

struct image {
    char *reference, *sandbox; /* sandbox: whose credentials its pull takes; NULL: none */
    enum image_phase phase;
    struct runtime_image here;
    const char *reason;
    char *message;
    bool asked, pulling, unwanted; /* asked: for a pull, which has not begun */
    bool anew;                     /* something changed while it was pulled */
    unsigned failures;             /* in a row */
    int64_t not_before_us;         /* monotonic: the next pull */
    struct runtime_progress progress;
    uint64_t bytes_per_second, rated_bytes;
    int64_t rated_us;
    struct map *waiting; /* names of devices */
};

struct images {
    struct images_options o;
    pthread_mutex_t lock;
    struct map *table; /* reference → struct image; it and all in it are under the lock */
    struct queue *pulls;
    pthread_t threads[PULLS];
};

/* --- What is said of one --- */

const char *image_phase_name(enum image_phase p)
{
    static const char *const names[] = {"Pending", "Pulling", "Ready", "Failed"};
    return names[p];
}

void image_state_clear(struct image_state *s)
{
    free(s->message);
    *s = (struct image_state){0};
}

static void describe(const struct image *i, struct image_state *out)
{
    *out = (struct image_state){.phase = i->phase,
                                .image = i->here,
                                .reason = i->reason,
                                .message = xstrdup_or_null(i->message),
                                .pulling = i->pulling,
                                .progress = i->progress,
                                .bytes_per_second = i->bytes_per_second};
}

static void put_amount(struct buffer *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t u = 0;

    for (; n >= 1000 && u + 1 < ARRAY_SIZE(units); u++)
        n /= 1024;
    buffer_printf(b, n < 10 && u ? "%.1f %s" : "%.0f %s", n, units[u]);
}

char *image_progress_text(const struct image_state *s)
{
    const struct runtime_progress *p = &s->progress;
    struct buffer b = BUFFER_MAX(256);

    if (!s->pulling)
        return xstrdup("");
    if (p->bytes_total) {
        buffer_printf(&b, "%" PRIu64 " %% of ", p->bytes * 100 / p->bytes_total);
        put_amount(&b, p->bytes_total);
    }
    if (p->bytes_total && s->bytes_per_second) {
        buffer_puts(&b, ", ");
        put_amount(&b, s->bytes_per_second);
        buffer_puts(&b, "/s");
    }
    if (p->layers)
        buffer_printf(&b, "%s%u of %u layers", b.n ? ", " : "", p->layers_done, p->layers);
    return buffer_steal(&b);
}

/* The name without what engines add, and its tag; in `out`, which has room for both. */
static void plain_name(const char *s, char *out, size_t n)
{
    static const char *const added[] = {"docker.io/library/", "docker.io/"};
    const char *last;

    for (size_t i = 0; i < ARRAY_SIZE(added); i++)
        if (starts_with(s, added[i])) {
            s += strlen(added[i]);
            break;
        }
    last = strrchr(s, '/');
    snprintf(out, n, "%s%s", s, strpbrk(last ? last : s, ":@") ? "" : ":latest");
}

bool image_same_name(const char *a, const char *b)
{
    char x[1024], y[1024];

    plain_name(a, x, sizeof(x));
    plain_name(b, y, sizeof(y));
    return streq(x, y);
}

/* --- The table --- */

static void image_free(void *p)
{
    struct image *i = p;

    free(i->reference);
    free(i->sandbox);
    free(i->message);
    map_free(i->waiting, NULL);
    free(i);
}

static struct image *find(struct images *m, const char *reference)
{
    ASSERT_LOCKED(&m->lock);
    return map_get(m->table, str_from(reference));
}

static struct image *find_or_make(struct images *m, const char *reference)
{
    struct image *i = find(m, reference);

    if (i)
        return i;
    i = xcalloc(1, sizeof(*i));
    i->reference = xstrdup(reference);
    i->waiting = map_new();
    map_set(m->table, str_from(reference), i);
    return i;
}

/* True where that is news. */
static bool set_phase(struct image *i, enum image_phase phase, const char *reason, const char *message)
{
    bool news = i->phase != phase || !same_text(i->message, message);
    char *copy = xstrdup_or_null(message);

    i->phase = phase;
    i->reason = reason;
    free(i->message);
    i->message = copy;
    return news;
}

static bool set_ready(struct image *i, const struct runtime_image *here, const char *message)
{
    bool news = set_phase(i, IMAGE_READY, NULL, message) || !streq(i->here.id, here->id);

    i->here = *here;
    return news;
}

/* Who waits, for `tell`; they ask again, and wait again. */
static struct map *take_waiting(struct image *i)
{
    struct map *who = i->waiting;
    i->waiting = map_new();
    return who;
}

static void tell(struct images *m, const char *reference, bool soon, struct map *waiting)
{
    struct str name;
    void *v;

    m->o.changed(m->o.arg, reference, soon);
    for (size_t at = 0; map_next(waiting, &at, &name, &v);) {
        _cleanup_free_ char *device = xstrndup(name.p, name.n);
        m->o.wake(m->o.arg, device);
    }
    map_free(waiting, NULL);
}

/* --- Pulling, on the threads of its own --- */

static void rate(struct image *i, int64_t now)
{
    int64_t passed = now - i->rated_us;

    if (passed < 1000000)
        return;
    uint64_t came = i->progress.bytes > i->rated_bytes ? i->progress.bytes - i->rated_bytes : 0;
    uint64_t latest = came * 1000000 / (uint64_t)passed;
    i->bytes_per_second = i->bytes_per_second ? (i->bytes_per_second + latest) / 2 : latest;
    i->rated_bytes = i->progress.bytes;
    i->rated_us = now;
}

struct pull {
    struct images *m;
    struct image *image;
    int64_t told_us;
};

/* Told of once a second: who hears of it writes it down. */
static int take_progress(void *arg, const struct runtime_progress *p)
{
    struct pull *pull = arg;
    struct images *m = pull->m;
    struct map *waiting;
    int64_t now = clock_monotonic_us();

    {
        LOCK_SCOPE(&m->lock);
        pull->image->progress = *p;
        rate(pull->image, now);
        if (pull->image->unwanted)
            return -1;
        if (now - pull->told_us < 1000000)
            return 0;
        waiting = take_waiting(pull->image);
    }
    pull->told_us = now;
    tell(m, pull->image->reference, true, waiting);
    return 0;
}

static void begin_pull(struct images *m, struct image *i, struct map **waiting)
{
    LOCK_SCOPE(&m->lock);
    i->progress = (struct runtime_progress){0};
    i->bytes_per_second = i->rated_bytes = 0;
    i->rated_us = clock_monotonic_us();
    if (i->phase != IMAGE_READY)
        set_phase(i, IMAGE_PULLING, NULL, NULL);
    *waiting = take_waiting(i);
}

static int64_t pause_us(const struct image *i)
{
    uint64_t seconds = (uint64_t)limits.pull_retry_seconds << (i->failures > 8 ? 8 : i->failures);
    return (int64_t)(seconds < limits.pull_retry_longest_seconds ? seconds : limits.pull_retry_longest_seconds) *
           1000000;
}

static void take_failure(struct image *i, const struct error *why)
{
    bool away = why->reason == REASON_SERVICE_UNAVAILABLE; /* the engine, not its registry */
    int64_t pause = away ? AWAY_SECONDS * INT64_C(1000000) : pause_us(i);
    _cleanup_free_ char *message =
        xasprintf("%s; tried again after %" PRId64 " s", why->message, pause / INT64_C(1000000));

    i->not_before_us = i->anew ? clock_monotonic_us() : clock_monotonic_us() + pause;
    i->failures += !away;
    if (i->phase == IMAGE_READY) /* what is here can be used still */
        set_phase(i, IMAGE_READY, NULL, message);
    else if (away)
        set_phase(i, IMAGE_PENDING, NULL, why->message);
    else
        set_phase(i, IMAGE_FAILED, "ImagePullFailed", message);
}

static void end_pull(struct images *m, struct image *i, const struct runtime_image *here, const struct error *why)
{
    struct map *waiting;
    _cleanup_free_ char *reference = xstrdup(i->reference);

    {
        LOCK_SCOPE(&m->lock);
        i->pulling = false;
        waiting = take_waiting(i);
        if (here) {
            set_ready(i, here, NULL);
            i->failures = 0;
            i->not_before_us = clock_monotonic_us() + (int64_t)limits.image_check_seconds * 1000000;
        } else if (!i->unwanted) {
            take_failure(i, why);
        }
        i->anew = false;
        if (i->unwanted)
            image_free(map_remove(m->table, str_from(reference)));
    }
    tell(m, reference, false, waiting);
}

static int pull_it(struct images *m, struct image *i, const char *sandbox, struct runtime_image *here,
                   struct error **err)
{
    _cleanup_secret_ char *username = NULL, *password = NULL;
    struct pull pull = {.m = m, .image = i};

    if (sandbox)
        m->o.credentials(m->o.arg, sandbox, &username, &password);
    struct runtime_pull wanted = {i->reference, username, password};
    log_info("image %s: being pulled", i->reference);
    if (m->o.runtime->ops->image_pull(m->o.runtime, &wanted, take_progress, &pull, err) < 0)
        return -1;
    int there = m->o.runtime->ops->image_find(m->o.runtime, i->reference, here, err);
    return there == 0 ? error_set(err, REASON_NOT_FOUND, "it was pulled, and the engine does not have it") : there;
}

static void pull_named(struct images *m, const char *reference)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_free_ char *sandbox = NULL;
    struct runtime_image here;
    struct map *waiting;
    struct image *i;

    {
        LOCK_SCOPE(&m->lock);
        i = find(m, reference);
        if (i == NULL || !i->asked)
            return;
        i->asked = false;
        i->pulling = true; /* from here on nobody but this thread frees it */
        sandbox = xstrdup_or_null(i->sandbox);
    }
    begin_pull(m, i, &waiting);
    tell(m, reference, false, waiting);
    int rc = pull_it(m, i, sandbox, &here, &err) < 0 ? -1 : 0;
    if (rc < 0 && err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("image %s: %s", reference, err->message);
    else if (rc == 0)
        log_info("image %s: pulled, %s", reference, here.id);
    end_pull(m, i, rc < 0 ? NULL : &here, err);
}

static void *pull_queued(void *arg)
{
    struct images *m = arg;
    const char *reference;

    while ((reference = queue_take(m->pulls))) {
        pull_named(m, reference);
        queue_done(m->pulls, reference);
    }
    return NULL;
}

/* --- Looking --- */

/* Why it is not to be pulled; NULL: it may be. */
static const char *no_pull(struct images *m, const struct image_wish *w, const char **reason)
{
    *reason = "ImageMissing";
    if (starts_with(w->reference, LOCAL))
        return "the engine has no such image, and one of " LOCAL " is in no registry: build or load it (images/build), "
               "or name another in the sandbox";
    if (w->policy == PULL_NEVER)
        return "the engine has no such image, and the sandbox says that none is pulled (imagePullPolicy)";
    *reason = "ImageRefused";
    if (!config_image_allowed(m->o.config, w->reference))
        return "it is none of those that may run here (allowedImages)";
    return NULL;
}

static void note_wish(struct image *i, const struct image_wish *w)
{
    free(i->sandbox);
    i->sandbox = xstrdup_or_null(w->sandbox);
    i->anew |= w->anew && i->pulling;
    i->unwanted = false;
}

static void ask_for_pull(struct images *m, struct image *i)
{
    i->asked = true;
    queue_add(m->pulls, i->reference);
}

/* Somebody has removed it: as new. */
static bool take_missing(struct image *i)
{
    if (i->phase != IMAGE_READY)
        return false;
    i->not_before_us = 0;
    return set_phase(i, IMAGE_PENDING, NULL, NULL);
}

/* What follows from what was found. True where its phase changed. */
static bool decide(struct images *m, struct image *i, const struct image_wish *w, const struct runtime_image *here)
{
    const char *reason, *why = no_pull(m, w, &reason);
    int64_t now = clock_monotonic_us();
    bool refreshed = w->policy == PULL_ALWAYS && why == NULL;
    const char *message = i->phase == IMAGE_READY && refreshed ? i->message : NULL; /* of the last time */
    bool news = here ? set_ready(i, here, message) : take_missing(i);

    if (here && !refreshed)
        return news;
    if (why) {
        i->not_before_us = 0;
        return set_phase(i, IMAGE_FAILED, reason, why);
    }
    if (w->anew || now >= i->not_before_us)
        ask_for_pull(m, i);
    return news;
}

static unsigned again_in(const struct image *i)
{
    int64_t left = (i->not_before_us - clock_monotonic_us()) / 1000000 + 1;

    if (i->phase == IMAGE_FAILED && i->not_before_us == 0)
        return limits.image_missing_seconds;
    return left > 0 && left < limits.check_seconds ? (unsigned)left : limits.check_seconds;
}

static bool is_being_pulled(struct images *m, const struct image_wish *w, struct image_state *out)
{
    LOCK_SCOPE(&m->lock);
    struct image *i = find(m, w->reference);

    if (i == NULL || !i->pulling)
        return false;
    note_wish(i, w);
    describe(i, out);
    return true;
}

static unsigned engine_away(struct images *m, const char *reference, struct image_state *out)
{
    if (!images_state(m, reference, out))
        *out = (struct image_state){0};
    return AWAY_SECONDS;
}

unsigned images_look(struct images *m, const struct image_wish *w, struct image_state *out)
{
    struct runtime_image here;
    struct map *waiting = NULL;
    unsigned again;

    if (is_being_pulled(m, w, out))
        return limits.check_seconds;
    int there = m->o.runtime->ops->image_find(m->o.runtime, w->reference, &here, NULL);

    if (there < 0)
        return engine_away(m, w->reference, out);
    {
        LOCK_SCOPE(&m->lock);
        struct image *i = find_or_make(m, w->reference);
        note_wish(i, w);
        if (!i->pulling && !i->asked && decide(m, i, w, there ? &here : NULL))
            waiting = take_waiting(i);
        describe(i, out);
        again = again_in(i);
    }
    if (waiting)
        tell(m, w->reference, false, waiting);
    return again;
}

void images_keep(struct images *m, const struct map *named)
{
    struct map *gone = map_new();
    struct str key;
    void *v;

    LOCK_SCOPE(&m->lock);
    for (size_t at = 0; map_next(m->table, &at, &key, &v);)
        if (!map_get(named, key))
            map_set(gone, key, v);
    for (size_t at = 0; map_next(gone, &at, &key, &v);) {
        struct image *i = v;
        i->unwanted = true;
        if (!i->pulling)
            image_free(map_remove(m->table, key));
    }
    map_free(gone, NULL);
}

/* --- Asking --- */

bool images_state(struct images *m, const char *reference, struct image_state *out)
{
    LOCK_SCOPE(&m->lock);
    const struct image *i = find(m, reference);

    if (i)
        describe(i, out);
    return i != NULL;
}

bool images_await(struct images *m, const char *reference, const char *device, struct image_state *out)
{
    LOCK_SCOPE(&m->lock);
    struct image *i = find(m, reference);

    if (i == NULL || i->phase == IMAGE_READY)
        return false;
    map_set(i->waiting, str_from(device), m);
    describe(i, out);
    return true;
}

void images_missed(struct images *m, const char *reference)
{
    {
        LOCK_SCOPE(&m->lock);
        struct image *i = find_or_make(m, reference);
        take_missing(i);
    }
    m->o.changed(m->o.arg, reference, false);
}

/* --- Life --- */

struct images *images_new(const struct images_options *o)
{
    struct images *m = xcalloc(1, sizeof(*m));

    m->o = *o;
    m->table = map_new();
    m->pulls = queue_new();
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

void images_start(struct images *m)
{
    for (size_t i = 0; i < PULLS; i++)
        m->threads[i] = thread_start("image", pull_queued, m);
}

void images_stop(struct images *m)
{
    queue_shut(m->pulls);
    for (size_t i = 0; i < PULLS; i++)
        pthread_join(m->threads[i], NULL);
}

void images_free(struct images *m)
{
    queue_free(m->pulls);
    map_free(m->table, image_free);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
