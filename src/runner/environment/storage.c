#include "runner/environment/storage.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "client/client.h"
#include "runner/environment/limits.h"

#define SECOND INT64_C(1000000)
#define TICK_MS 250
#define STEP_FILES 128       /* between two pauses */
#define REST 20              /* times as long as it took */
#define REST_SOON 2          /* … where somebody waits for it, */
#define FEW UINT64_C(500000) /* and no hoard of files takes the thread from the others */

/* By the owner's name. */
struct owner {
    char *name, *device; /* device: NULL where none is followed */
    uint32_t id;
    struct home_use found, said; /* quota: what holds now */
    int64_t next_us, not_before_us;
};

struct storage {
    struct storage_options o;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct map *owners;
};

/* --- When --- */

/* Not all at one time. */
static int64_t about(unsigned seconds)
{
    uint32_t dice;

    random_bytes(&dice, sizeof(dice));
    return (int64_t)seconds * SECOND * 3 / 4 + (int64_t)(dice % 1000) * (int64_t)seconds * 500;
}

static unsigned seconds_between(const struct owner *o)
{
    if (o->found.enforced || home_level(&o->found) == HOME_REFUSED)
        return limits.storage_soon_seconds;
    return limits.storage_seconds;
}

static int64_t rest_after(const struct owner *o, int64_t took_us)
{
    bool soon = home_level(&o->found) == HOME_REFUSED && o->found.files <= FEW;
    return took_us * (soon ? REST_SOON : REST);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- Who --- */

static void owner_free(void *p)
{
    struct owner *o = p;

    if (o == NULL)
        return;
    free(o->name);
    free(o->device);
    free(o);
}

static struct owner *find(struct storage *s, const char *name)
{
    return name ? map_get(s->owners, str_from(name)) : NULL;
}

/* What is remembered counts as found when it was: not all homes are looked at because a runner has begun. */
static struct owner *make(struct storage *s, const char *name, const struct home_use *remembered)
{
    struct owner *o = xcalloc(1, sizeof(*o));
    int64_t now = clock_monotonic_us();

    o->name = xstrdup(name);
    o->next_us = now + limits.storage_first_seconds * SECOND;
    if (remembered->measured_us) {
        o->found = o->said = *remembered;
        int64_t ago = clock_realtime_us() - remembered->measured_us;
        if (ago >= 0)
            o->next_us = later(o->next_us, now + about(seconds_between(o)) - ago);
    }
    map_set(s->owners, str_from(o->name), o);
    return o;
}

static bool take_quota(struct owner *o, uint64_t quota)
{
    if (o->found.quota == quota)
        return false;
    o->found.quota = quota;
    if (o->found.measured_us == 0)
        return false;
    o->next_us = o->not_before_us; /* the file system is to know it */
    o->said = o->found;
    return true;
}

void storage_follow(struct storage *s, const char *device, const struct runtime_owner *owner,
                    const struct home_use *remembered)
{
    LOCK_SCOPE(&s->lock);
    struct owner *o = find(s, owner->name);

    if (o && o->id && owner->id && o->id != owner->id) { /* somebody else, who has other homes, has the name now */
        owner_free(map_remove(s->owners, str_from(owner->name)));
        o = NULL;
    }
    if (o == NULL)
        o = make(s, owner->name, remembered);
    o->id = owner->id;
    if (!streq(o->device, device)) {
        free(o->device);
        o->device = xstrdup(device);
    }
    (void)take_quota(o, owner->quota); /* who follows says what is to be said after that */
}

void storage_leave(struct storage *s, const char *owner)
{
    LOCK_SCOPE(&s->lock);
    struct owner *o = find(s, owner);

    if (o == NULL)
        return;
    free(o->device);
    o->device = NULL;
}

void storage_hurry(struct storage *s, const char *owner)
{
    LOCK_SCOPE(&s->lock);
    struct owner *o = find(s, owner);
    int64_t soon = clock_monotonic_us() + limits.storage_soon_seconds * SECOND;

    if (o && o->next_us > soon)
        o->next_us = later(soon, o->not_before_us);
}

bool storage_find(struct storage *s, const char *owner, struct home_use *out)
{
    LOCK_SCOPE(&s->lock);
    const struct owner *o = find(s, owner);

    if (o == NULL || o->said.measured_us == 0)
        return false;
    *out = o->said;
    return true;
}

/* --- Looking --- */

struct looking {
    char *name, *device;
    struct runtime_owner owner;
    struct storage *s;
    uint64_t files;
};

static int step(void *arg)
{
    struct looking *l = arg;
    unsigned pause_ms = STEP_FILES * 1000 / limits.storage_files_a_second;

    if (++l->files > limits.storage_files_most)
        return -1;
    if (l->files % STEP_FILES)
        return 0;
    return stop_wait(l->s->o.stop_fd, pause_ms) ? -1 : 0;
}

static bool take_due(struct storage *s, struct looking *l)
{
    LOCK_SCOPE(&s->lock);
    int64_t now = clock_monotonic_us();
    struct owner *first = NULL;
    struct str name;
    void *v;

    for (size_t at = 0; map_next(s->owners, &at, &name, &v);) {
        struct owner *o = v;
        if (o->device && o->next_us <= now && (first == NULL || o->next_us < first->next_us))
            first = o;
    }
    if (first == NULL)
        return false;
    *l = (struct looking){.name = xstrdup(first->name), .device = xstrdup(first->device), .s = s};
    l->owner = (struct runtime_owner){l->name, first->id, first->found.quota};
    return true;
}

/* True: it is to be said. */
static bool note(struct storage *s, const struct looking *l, const struct runtime_storage *found, int64_t took_us)
{
    LOCK_SCOPE(&s->lock);
    struct owner *o = find(s, l->name);
    int64_t now = clock_monotonic_us();

    if (o == NULL || o->id != l->owner.id)
        return false;
    if (found)
        o->found = (struct home_use){found->bytes,    found->files,   o->found.quota,
                                     found->enforced, found->partial, clock_realtime_us()};
    o->not_before_us = now + rest_after(o, took_us);
    o->next_us = later(now + about(found ? seconds_between(o) : limits.storage_soon_seconds), o->not_before_us);
    if (found == NULL || !home_use_matters(&o->said, &o->found))
        return false;
    o->said = o->found;
    return true;
}

static void look(struct storage *s, struct looking *l)
{
    struct runtime *r = s->o.runtime;
    int64_t begun = clock_monotonic_us();
    _cleanup_error_ struct error *err = NULL;
    struct runtime_storage found;
    int rc = r->ops->storage(r, &l->owner, step, l, &found, &err);

    if (stop_said(s->o.stop_fd))
        return;
    if (rc < 0 && err->reason != REASON_SERVICE_UNAVAILABLE)
        log_warning("homes of %s: %s", l->name, err->message);
    if (note(s, l, rc < 0 ? NULL : &found, clock_monotonic_us() - begun))
        s->o.changed(s->o.arg, l->device);
}

/* Whoever else wants processor or disk comes first. */
static void give_way(void)
{
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void *look_at_homes(void *arg)
{
    struct storage *s = arg;
    struct looking l;

    give_way();
    while (!stop_wait(s->o.stop_fd, TICK_MS))
        while (!stop_said(s->o.stop_fd) && take_due(s, &l)) {
            look(s, &l);
            free(l.name);
            free(l.device);
        }
    return NULL;
}

/* --- Life --- */

struct storage *storage_new(const struct storage_options *options)
{
    struct storage *s = xcalloc(1, sizeof(*s));

    s->o = *options;
    s->owners = map_new();
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void storage_start(struct storage *s)
{
    if (s->o.runtime->ops->storage == NULL)
        return;
    s->thread = thread_start("storage", look_at_homes, s);
    s->started = true;
}

void storage_stop(struct storage *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
}

void storage_free(struct storage *s)
{
    map_free(s->owners, owner_free);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
