#include "runner/homes/menders.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"

#define LOOK_AGAIN_US (INT64_C(600) * 1000000)
#define RESULT_US (INT64_C(60) * 1000000) /* whoever asked for it takes it within that time */
#define LEAST_NICE 19
#define LOOKS_WAITING 1000 /* each has two descriptors; the next start asks again */

enum job_state { JOB_WAITING, JOB_WORKING, JOB_DONE };

struct job {
    char *path, *user;
    int parent, home;
    struct mend_order order;
    struct home_record record;
    struct mend_count count;
    enum job_state state;
    int64_t done_us;
    bool failed;      /* the home's top is another's still */
    struct job *next; /* that waits */
};

struct lane {
    struct menders *all;
    const char *name;
    bool idle; /* runs when nobody else wants to */
    bool started;
    pthread_t thread;
    pthread_cond_t more;
    struct job *first;
    unsigned waiting;
};

struct menders {
    pthread_mutex_t lock;
    atomic_bool stop;
    struct lane mending, looking;
    struct map *jobs;   /* path → job that somebody asks for; owned */
    struct map *looked; /* path → a job of the other lane, as it was: `done_us` says when; owned */
};

static void job_close(struct job *j)
{
    if (j->parent >= 0)
        close(j->parent);
    if (j->home >= 0)
        close(j->home);
    j->parent = j->home = -1;
}

static void job_free(void *p)
{
    struct job *j = p;

    job_close(j);
    free(j->path);
    free(j->user);
    free(j);
}

static struct job *job_new(const struct mend_request *r)
{
    struct job *j = xcalloc(1, sizeof(*j));

    j->path = xstrdup(r->path);
    j->user = xstrdup(r->user);
    j->parent = fcntl(r->parent, F_DUPFD_CLOEXEC, 0);
    j->home = fcntl(r->home, F_DUPFD_CLOEXEC, 0);
    j->order = r->order;
    j->record = r->record;
    return j;
}

/* --- The work --- */

static bool is_still_home(const struct job *j)
{
    struct stat a, b;

    return fstatat(j->parent, j->user, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(j->home, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* With which ids all of it was seen; not where it has become somebody else's meanwhile. */
static void note_seen(const struct job *j)
{
    _cleanup_error_ struct error *err = NULL;
    struct home_record now;

    if (*j->record.uid == '\0')
        return;
    _cleanup_close_ int lock = homes_lock(j->parent, &err);
    if (lock >= 0 && is_still_home(j) && record_read(j->parent, j->user, &now, &err) > 0 &&
        streq(now.uid, j->record.uid) && (now.seen.first != j->order.ids.first || now.seen.size != j->order.ids.size)) {
        now.seen = j->order.ids;
        if (record_write(j->parent, j->user, &now, &err) < 0)
            log_warning("%s", err->message);
    }
}

/* Of this thread alone; where it may not be said it is not. */
static void become_modest(bool idle)
{
    int class = idle ? IOPRIO_CLASS_IDLE : IOPRIO_CLASS_BE;

    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), LEAST_NICE);
    (void)sched_setscheduler(0, idle ? SCHED_IDLE : SCHED_BATCH, &(struct sched_param){0});
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, idle ? 0 : 7));
}

/* Whoever starts waits for the lock of the homes: it is not held by somebody who lets all others go first. */
static void become_usual(void)
{
    (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0));
}

static void work_on(const struct lane *lane, struct job *j)
{
    int64_t begun = clock_monotonic_us();

    bool whole = mend_home(j->home, &j->order, &lane->all->stop, &j->count);
    j->failed = mend_top_is_strange(j->home, &j->order);
    if (!whole)
        return;
    become_usual();
    note_seen(j);
    become_modest(lane->idle);
    if (j->count.mended || j->count.left)
        log_info("%s: of %llu files %llu were given to the home's user, %llu left as they are, in %.1f s", j->path,
                 (unsigned long long)j->count.looked, (unsigned long long)j->count.mended,
                 (unsigned long long)j->count.left, clock_seconds_since(begun));
}

static struct job *next_job(struct lane *lane)
{
    struct menders *m = lane->all;

    ASSERT_LOCKED(&m->lock);
    while (!atomic_load(&m->stop) && lane->first == NULL)
        pthread_cond_wait(&lane->more, &m->lock);
    if (atomic_load(&m->stop))
        return NULL;
    struct job *j = lane->first;
    lane->first = j->next;
    lane->waiting--;
    j->state = JOB_WORKING;
    return j;
}

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    struct menders *m = lane->all;
    struct job *j;

    become_modest(lane->idle);
    pthread_mutex_lock(&m->lock);
    while ((j = next_job(lane))) {
        pthread_mutex_unlock(&m->lock);
        work_on(lane, j);
        pthread_mutex_lock(&m->lock);
        j->state = JOB_DONE;
        j->done_us = clock_monotonic_us();
        job_close(j);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

static void enqueue(struct lane *lane, struct job *j)
{
    struct job **at = &lane->first;

    ASSERT_LOCKED(&lane->all->lock);
    while (*at)
        at = &(*at)->next;
    *at = j;
    lane->waiting++;
    if (!lane->started)
        lane->thread = thread_start(lane->name, run_lane, lane);
    lane->started = true;
    pthread_cond_signal(&lane->more);
}

/* --- Who asks --- */

static int take_result(struct menders *m, struct job *j, struct error **err)
{
    bool failed = j->failed;

    job_free(map_remove(m->jobs, str_from(j->path)));
    if (!failed)
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "the home belongs to somebody else's id, and cannot be given to its user: its file system is "
                     "read-only, or does not let root change owners (NFS with root_squash)");
}

static const char *say_progress(const struct lane *lane, const struct job *j, struct arena *a)
{
    unsigned before = 1; /* the one that is being worked on */

    if (j->state != JOB_WAITING)
        return arena_printf(a, "files of this home that are another's are given to its user: %llu, of %llu looked at",
                            (unsigned long long)j->count.mended, (unsigned long long)j->count.looked);
    for (const struct job *at = lane->first; at && at != j; at = at->next)
        before++;
    return arena_printf(a,
                        "this home has files that are another's: they are given to its user after those of %u other %s",
                        before, before == 1 ? "home" : "homes");
}

int menders_ask(struct menders *m, const struct mend_request *r, bool needed, struct arena *a, const char **progress,
                struct error **err)
{
    LOCK_SCOPE(&m->lock);
    struct job *j = map_get(m->jobs, str_from(r->path));

    if (j && j->state == JOB_DONE && (!needed || clock_monotonic_us() - j->done_us < RESULT_US))
        return take_result(m, j, err);
    if (j && j->state == JOB_DONE) { /* of an earlier start, that nobody waited for */
        job_free(map_remove(m->jobs, str_from(r->path)));
        j = NULL;
    }
    if (j == NULL && !needed)
        return 0;
    if (j == NULL) {
        j = job_new(r);
        map_set(m->jobs, str_from(r->path), j);
        enqueue(&m->mending, j);
    }
    *progress = say_progress(&m->mending, j, a);
    return 1;
}

void menders_look(struct menders *m, const struct mend_request *r)
{
    LOCK_SCOPE(&m->lock);
    struct job *j = map_get(m->looked, str_from(r->path));

    if (m->looking.waiting >= LOOKS_WAITING || (j && j->state != JOB_DONE))
        return;
    if (j && clock_monotonic_us() - j->done_us < LOOK_AGAIN_US)
        return;
    if (j)
        job_free(map_remove(m->looked, str_from(r->path)));
    j = job_new(r);
    map_set(m->looked, str_from(r->path), j);
    enqueue(&m->looking, j);
}

/* --- Life --- */

struct menders *menders_new(void)
{
    struct menders *m = xcalloc(1, sizeof(*m));

    pthread_mutex_init(&m->lock, NULL);
    m->mending = (struct lane){.all = m, .name = "homes-mend"};
    m->looking = (struct lane){.all = m, .name = "homes-look", .idle = true};
    pthread_cond_init(&m->mending.more, NULL);
    pthread_cond_init(&m->looking.more, NULL);
    m->jobs = map_new();
    m->looked = map_new();
    return m;
}

static void lane_end(struct lane *lane)
{
    if (lane->started)
        pthread_join(lane->thread, NULL);
    pthread_cond_destroy(&lane->more);
}

void menders_free(struct menders *m)
{
    if (m == NULL)
        return;
    {
        LOCK_SCOPE(&m->lock);
        atomic_store(&m->stop, true);
        pthread_cond_broadcast(&m->mending.more);
        pthread_cond_broadcast(&m->looking.more);
    }
    lane_end(&m->mending);
    lane_end(&m->looking);
    map_free(m->jobs, job_free);
    map_free(m->looked, job_free);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
