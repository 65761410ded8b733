#include "runner/engine/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "runner/engine/facts.h"
#include "runner/quota/count.h"
#include "runner/quota/project.h"

#define HOMES_MAX 256
#define MARK_BRIEFLY_US (INT64_C(200) * 1000) /* … which anybody may at any time */
#define MARK_US (INT64_C(10) * 1000000)       /* at a time, and one at a time: who starts waits for it */

struct homes {
    int fds[HOMES_MAX];
    size_t n;
};

/* --- Which there are --- */

/* These folders are ours, and what is mounted on them is the administrator's. */
static int open_folder(int in, const char *name)
{
    return openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Takes the descriptor of the folder. */
static void add_home(struct homes *h, int folder, const char *owner)
{
    int fd = folder >= 0 && h->n < HOMES_MAX ? open_folder(folder, owner) : -1;

    if (fd >= 0)
        h->fds[h->n++] = fd;
    if (folder >= 0)
        close(folder);
}

static int open_base(const char *path)
{
    return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* A folder for each sandbox, with a home in it for each owner. */
static void add_homes_of_sandboxes(struct homes *h, const char *base, const char *owner)
{
    int fd = open_base(base);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(d)))
        if (e->d_name[0] != '.')
            add_home(h, open_folder(dirfd(d), e->d_name), owner);
    closedir(d);
}

static void find_homes(struct homes *h, const struct config *c, const char *owner)
{
    h->n = 0;
    add_homes_of_sandboxes(h, c->workspace_path, owner);
    add_home(h, open_base(c->jupyter_lab_base), owner);
    add_home(h, open_base(c->vscode_base), owner);
}

static void close_homes(struct homes *h)
{
    for (size_t i = 0; i < h->n; i++)
        close(h->fds[i]);
}
#define _cleanup_homes_ _cleanup_(close_homes)

/* --- Enforced by the file system --- */

/* Without a user namespace the owner of a file may take it out of its project. */
static bool may_enforce(const struct engine_facts *f)
{
    return geteuid() == 0 && !f->rootless && f->seen.user_namespace;
}

static bool all_marked(const struct homes *h, uint32_t id)
{
    for (size_t i = 0; i < h->n; i++)
        if (!project_quotas_at(h->fds[i]) || !project_is_marked(h->fds[i], id))
            return false;
    return h->n > 0;
}

static bool is_of_an_earlier(const struct homes *h, size_t i, dev_t *devices)
{
    struct stat st;

    devices[i] = fstat(h->fds[i], &st) == 0 ? st.st_dev : 0;
    for (size_t k = 0; k < i; k++)
        if (devices[k] == devices[i])
            return true;
    return false;
}

/* On each file system once; where homes lie on several, each of these allows the whole quota. */
static int use_projects(const struct homes *h, const struct runtime_owner *o, struct runtime_storage *out,
                        struct error **err)
{
    dev_t devices[HOMES_MAX];

    *out = (struct runtime_storage){.enforced = o->quota != 0};
    for (size_t i = 0; i < h->n; i++) {
        struct project_use use;
        if (is_of_an_earlier(h, i, devices))
            continue;
        if (project_use(h->fds[i], o->id, &use, err) < 0 ||
            (use.limit != o->quota && project_limit(h->fds[i], o->id, o->quota, err) < 0))
            return -1;
        out->bytes += use.bytes;
        out->files += use.files;
    }
    return 0;
}

struct marking {
    int64_t begun_us;
    bool takes_long;
};

/* Of the few threads that start and end environments one is kept by homes that are full, and the others go on. */
static atomic_flag somebody_takes_long = ATOMIC_FLAG_INIT;

static int until_deadline(void *arg)
{
    struct marking *m = arg;
    int64_t took = clock_monotonic_us() - m->begun_us;

    if (took < MARK_BRIEFLY_US)
        return 0;
    if (!m->takes_long)
        m->takes_long = !atomic_flag_test_and_set(&somebody_takes_long);
    return m->takes_long && took < MARK_US ? 0 : -1;
}

static int mark_all(const struct homes *h, uint32_t id, const struct pace *pace, struct error **err)
{
    for (size_t i = 0; i < h->n; i++) {
        int done = project_quotas_at(h->fds[i]) ? project_mark(h->fds[i], id, pace, err) : 1;
        if (done <= 0)
            return done;
    }
    return 1;
}

/* 1: all of them; 0: there is more, which is gone on with. */
static int mark_homes(const struct homes *h, uint32_t id, struct error **err)
{
    struct marking m = {.begun_us = clock_monotonic_us()};
    struct pace pace = {until_deadline, &m};
    int done = mark_all(h, id, &pace, err);

    if (m.takes_long)
        atomic_flag_clear(&somebody_takes_long);
    return done;
}

bool engine_storage_is_new(struct engine *e, const struct engine_facts *f, const struct runtime_spec *s)
{
    _cleanup_homes_ struct homes homes = {.n = 0};
    bool is_new = false;

    if (s->home_quota == 0 || !may_enforce(f))
        return false;
    find_homes(&homes, e->config, s->owner);
    for (size_t i = 0; i < homes.n; i++)
        is_new |= project_quotas_at(homes.fds[i]) && !project_is_marked(homes.fds[i], s->owner_id);
    return is_new;
}

int engine_storage_prepare(struct engine *e, const struct engine_facts *f, struct runtime_spec *s)
{
    const struct runtime_owner owner = {s->owner, s->owner_id, s->home_quota};
    _cleanup_homes_ struct homes homes = {.n = 0};
    _cleanup_error_ struct error *err = NULL;
    struct runtime_storage ignored;

    if (s->home_quota == 0 || !may_enforce(f))
        return 0;
    find_homes(&homes, e->config, s->owner);
    int done = mark_homes(&homes, s->owner_id, &err);
    if (done == 0) {
        s->progress = "the files are taken into the quota, which takes a while as there are so many";
        return 1;
    }
    if (done > 0 && all_marked(&homes, s->owner_id))
        (void)use_projects(&homes, &owner, &ignored, &err);
    if (err) /* it is measured, then */
        log_warning("the quota of %s cannot be enforced: %s", s->owner, err->message);
    return 0;
}

/* --- Measured --- */

static void count_homes(const struct homes *h, const struct pace *pace, struct runtime_storage *out)
{
    struct count c = {0};

    for (size_t i = 0; i < h->n; i++)
        count_folder(h->fds[i], pace, &c);
    *out = (struct runtime_storage){.bytes = c.bytes, .files = c.files, .partial = c.partial};
}

int engine_storage(struct runtime *r, const struct runtime_owner *o, int (*step)(void *arg), void *arg,
                   struct runtime_storage *out, struct error **err)
{
    struct engine *e = engine_of(r);
    struct pace pace = {step, arg};
    _cleanup_homes_ struct homes homes = {.n = 0};
    struct engine_facts f;

    if (engine_get_facts(e, &f, err) < 0)
        return -1;
    find_homes(&homes, e->config, o->name);
    if (may_enforce(&f) && all_marked(&homes, o->id))
        return use_projects(&homes, o, out, err);
    count_homes(&homes, &pace, out);
    return 0;
}
