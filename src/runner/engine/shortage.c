#include "runner/engine/shortage.h"

#include <stdlib.h>
#include <sys/statfs.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/map.h"
#include "base/thread.h"
#include "client/transport.h"
#include "runner/engine/cgroup.h"

#define ROUND_MS 3000
#define GROUPS_MAX 65536

struct watched {
    char *instance, *device, *container;
    pid_t pid;
    bool looked;
    struct runtime_shortage seen;
};

struct shortages {
    int stop_fd;
    struct runtime_listener listener;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct map *all; /* instance → struct watched */
};

static void watched_free(void *p)
{
    struct watched *w = p;

    if (w == NULL)
        return;
    free(w->instance);
    free(w->device);
    free(w->container);
    free(w);
}

/* --- One look --- */

static void read_memory(const char *groups, const char *container, struct runtime_shortage *out)
{
    _cleanup_free_ char *folder = cgroup_folder(groups, "memory", container);

    if (folder == NULL)
        return;
    uint64_t v1 = cgroup_number(folder, "memory.oom_control", "oom_kill");
    out->memory_kills = v1 ? v1 : cgroup_number(folder, "memory.events", "oom_kill");
    uint64_t used = cgroup_number(folder, "memory.usage_in_bytes", NULL);
    out->memory_bytes = used ? used : cgroup_number(folder, "memory.current", NULL);
}

/* Kernels before 6.11 count it where the process is that could not start another, which may be one folder below. */
static void read_processes(const char *groups, const char *container, struct runtime_shortage *out)
{
    _cleanup_free_ char *folder = cgroup_folder(groups, "pids", container);
    _cleanup_free_ char *below = folder ? xasprintf("%s/container", folder) : NULL;

    if (folder == NULL)
        return;
    uint64_t here = cgroup_number(folder, "pids.events", "max"), there = cgroup_number(below, "pids.events", "max");
    out->refused_processes = here > there ? here : there;
}

/* Full is less than a sixty-fourth, and so it stays until there is a sixteenth: what is just at the limit would come and
 * go. */
static bool is_full(const char *path, bool before)
{
    struct statfs fs;

    if (statfs(path, &fs) < 0 || fs.f_blocks == 0)
        return false;
    return fs.f_bfree < fs.f_blocks / (before ? 16 : 64);
}

static void read_room(const char *proc, const struct watched *w, struct runtime_shortage *out)
{
    static const char *const places[] = {SCRATCH_TMP, SCRATCH_SHM};

    for (size_t i = 0; i < ARRAY_SIZE(places) && out->full == NULL; i++) {
        /* A mount of the container's own, which it can neither move nor replace. */
        _cleanup_free_ char *path = xasprintf("%s/%d/root%s", proc, (int)w->pid, places[i]);
        if (is_full(path, streq(w->seen.full, places[i])))
            out->full = places[i];
    }
}

/* False: it is over, or its first process is another by now. */
static bool look(const char *proc, const struct watched *w, struct runtime_shortage *out)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/cgroup", proc, (int)w->pid);
    _cleanup_free_ char *groups = read_file(path, GROUPS_MAX, NULL, NULL);

    *out = (struct runtime_shortage){0};
    if (groups == NULL || strstr(groups, w->container) == NULL)
        return false;
    read_memory(groups, w->container, out);
    read_processes(groups, w->container, out);
    read_room(proc, w, out);
    return true;
}

/* --- All of them --- */

static bool is_news(const struct runtime_shortage *before, const struct runtime_shortage *now)
{
    return now->memory_kills != before->memory_kills || now->refused_processes != before->refused_processes ||
           now->full != before->full;
}

static struct watched *watched_copy(const struct watched *w)
{
    struct watched *copy = xcalloc(1, sizeof(*copy));

    *copy =
        (struct watched){xstrdup(w->instance), xstrdup(w->device), xstrdup(w->container), w->pid, w->looked, w->seen};
    return copy;
}

/* Copies, as the lock is not held while they are looked at; the caller frees each and the list. */
static size_t copy_all(struct shortages *s, struct watched ***out)
{
    LOCK_SCOPE(&s->lock);
    struct watched **list = xcalloc(map_size(s->all) + 1, sizeof(*list));
    struct str instance;
    size_t n = 0;
    void *v;

    for (size_t at = 0; map_next(s->all, &at, &instance, &v);)
        list[n++] = watched_copy(v);
    *out = list;
    return n;
}

/* True: there is news. Nothing is taken of what has another first process, or is not watched any more. */
static bool take(struct shortages *s, const struct watched *was, const struct runtime_shortage *now)
{
    LOCK_SCOPE(&s->lock);
    struct watched *w = map_get(s->all, str_from(was->instance));

    if (w == NULL || w->pid != was->pid || !streq(w->container, was->container))
        return false;
    bool news = is_news(&w->seen, now);
    w->looked = true;
    w->seen = *now;
    return news;
}

void shortages_round(struct shortages *s, const char *proc)
{
    struct watched **all;
    size_t n = copy_all(s, &all);

    for (size_t i = 0; i < n; i++) {
        struct runtime_shortage now;
        if (look(proc, all[i], &now) && take(s, all[i], &now))
            s->listener.changed(s->listener.arg, all[i]->device);
        watched_free(all[i]);
    }
    free(all);
}

void shortages_watch(struct shortages *s, const char *instance, const char *device, const char *container, pid_t pid)
{
    LOCK_SCOPE(&s->lock);
    const struct watched *known = map_get(s->all, str_from(instance));
    struct watched *w;

    if (pid <= 1 || (known && known->pid == pid && streq(known->container, container)))
        return;
    w = xcalloc(1, sizeof(*w));
    *w = (struct watched){xstrdup(instance), xstrdup(device), xstrdup(container), pid, false, {0}};
    watched_free(map_set(s->all, str_from(instance), w));
}

void shortages_forget(struct shortages *s, const char *instance)
{
    LOCK_SCOPE(&s->lock);
    watched_free(map_remove(s->all, str_from(instance)));
}

bool shortages_of(struct shortages *s, const char *instance, struct runtime_shortage *out)
{
    LOCK_SCOPE(&s->lock);
    const struct watched *w = map_get(s->all, str_from(instance));

    if (w)
        *out = w->seen;
    return w && w->looked;
}

/* --- Life --- */

static void *look_again_and_again(void *arg)
{
    struct shortages *s = arg;

    while (!stop_wait(s->stop_fd, ROUND_MS))
        shortages_round(s, "/proc");
    return NULL;
}

struct shortages *shortages_new(int stop_fd)
{
    struct shortages *s = xcalloc(1, sizeof(*s));

    s->stop_fd = stop_fd;
    s->all = map_new();
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void shortages_listen(struct shortages *s, const struct runtime_listener *l)
{
    s->listener = *l;
}

void shortages_start(struct shortages *s)
{
    s->started = true;
    s->thread = thread_start("shortage", look_again_and_again, s);
}

void shortages_free(struct shortages *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    map_free(s->all, watched_free);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
