#include "runner/homes/mend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"

#define DEEPEST 512                   /* each level is an open folder; what is deeper is left alone */
#define NEAR_ENTRIES 4096             /* of one folder */
#define NEAR_US (INT64_C(100) * 1000) /* of all of them: who starts beside this one waits for it */
#define LINKS_MAX ((size_t)1 << 20)   /* files with several names that are remembered */

/* --- What is wrong --- */

static bool is_strange(const struct mend_order *o, const struct stat *st)
{
    return !home_ids_have(o->ids, st->st_uid) || !home_ids_have(o->ids, st->st_gid);
}

static uint32_t right_id(const struct mend_order *o, uint32_t id)
{
    if (home_ids_have(o->ids, id))
        return id;
    if (home_ids_have(o->from, id) && id - o->from.first < o->ids.size)
        return o->ids.first + (id - o->from.first);
    return o->owner;
}

static bool is_device(const struct stat *st)
{
    return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

static bool has_more_names(const struct stat *st)
{
    return !S_ISDIR(st->st_mode) && st->st_nlink > 1;
}

/* --- At a glance --- */

bool mend_top_is_strange(int home, const struct mend_order *o)
{
    struct stat st;
    return fstat(home, &st) == 0 && !home_ids_have(o->ids, st.st_uid);
}

/* A group that is another's stops nobody. What would be left alone is nothing to wait for. */
static bool has_strange_entry(int folder, const struct mend_order *o, int64_t until_us)
{
    DIR *d = folder < 0 ? NULL : fdopendir(folder);
    const struct dirent *e;
    struct stat st;
    bool found = false;

    for (unsigned n = 0; d && !found && n < NEAR_ENTRIES && clock_monotonic_us() < until_us && (e = readdir(d)); n++)
        found = !is_dots(e->d_name) && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                !home_ids_have(o->ids, st.st_uid) && !is_device(&st) && !has_more_names(&st);
    if (d)
        closedir(d);
    else if (folder >= 0)
        close(folder);
    return found;
}

bool mend_is_needed(int home, const struct mend_order *o)
{
    static const char *const near[] = {".",       ".local",   ".local/share", ".local/share/jupyter",
                                       ".config", ".jupyter", ".ipython",     ".cache"};
    int64_t until_us = clock_monotonic_us() + NEAR_US;

    if (mend_top_is_strange(home, o))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(near); i++)
        if (has_strange_entry(open_beneath_unmounted(home, near[i], O_RDONLY | O_DIRECTORY), o, until_us))
            return true;
    return false;
}

/* --- All of it --- */

struct walk {
    const struct mend_order *o;
    struct mend_count *count;
    DIR *levels[DEEPEST];
    size_t depth;
    struct map *links; /* inode → names of it that were seen, as a number: another's, and not all names seen yet */
    bool told;         /* why something was left */
    int64_t begun_us;  /* wall clock, as that of ctimes */
    size_t moved;      /* the level of a folder that changed since then, or of the first of several; 0: none */
};

static void leave_alone(struct walk *w, const char *name, const char *why)
{
    w->count->left++;
    if (!w->told)
        log_warning("in a home, %s is another's and stays so: %s", name, why);
    w->told = true;
}

/*
 * What runs may rename while it is walked through, and would have one name found twice in place of another that lies
 * elsewhere. Whatever is renamed is changed, or lies in a folder that is. The top is not theirs to rename.
 */
#define CLOCK_COARSE_US 50000 /* ctimes lag behind the clock by less */
static bool is_changed(const struct walk *w, const struct stat *st)
{
    return st->st_ctim.tv_sec * INT64_C(1000000) + st->st_ctim.tv_nsec / 1000 >= w->begun_us - CLOCK_COARSE_US;
}

static void note_entered(struct walk *w)
{
    struct stat st;

    if (w->moved == 0 && w->depth > 1 && (fstat(dirfd(w->levels[w->depth - 1]), &st) < 0 || is_changed(w, &st)))
        w->moved = w->depth;
}

/* This is the last of its names that was missing. */
static bool is_last_name(struct walk *w, const struct stat *st)
{
    const struct str key = {(const char *)&st->st_ino, sizeof(st->st_ino)};
    uintptr_t n = (uintptr_t)map_get(w->links, key) + 1;

    if (n >= st->st_nlink) {
        map_remove(w->links, key);
        return true;
    }
    if (n > 1 || map_size(w->links) < LINKS_MAX)
        map_set(w->links, key, (void *)n); /* NOLINT(performance-no-int-to-ptr) */
    return false;
}

/* By a descriptor: what has the name now need not have it a moment later. */
static void give(struct walk *w, int fd, const char *name)
{
    const struct mend_order *o = w->o;
    struct stat st;

    if (fstat(fd, &st) < 0 || !is_strange(o, &st))
        return;
    if (has_more_names(&st) && (w->moved || is_changed(w, &st))) {
        leave_alone(w, name, "it has several names, and is being moved");
        return;
    }
    if (has_more_names(&st) && !is_last_name(w, &st))
        return;
    if (is_device(&st))
        leave_alone(w, name, "it is a device");
    else if (fchownat(fd, "", right_id(o, st.st_uid), right_id(o, st.st_gid), AT_EMPTY_PATH) < 0)
        leave_alone(w, name, strerror(errno));
    else
        w->count->mended++;
}

static bool enter(struct walk *w, int folder)
{
    DIR *d = folder >= 0 && w->depth < DEEPEST ? fdopendir(folder) : NULL;

    if (d == NULL) {
        if (folder >= 0)
            close(folder);
        return false;
    }
    w->levels[w->depth++] = d;
    note_entered(w);
    return true;
}

static void leave(struct walk *w, bool done)
{
    DIR *d = w->levels[--w->depth];

    if (w->moved > w->depth)
        w->moved = 0;
    if (done)
        give(w, dirfd(d), "a folder");
    closedir(d);
}

static void visit(struct walk *w, int folder, const char *name)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    w->count->looked++;
    if (S_ISDIR(st.st_mode)) {
        int below = open_beneath_unmounted(folder, name, O_RDONLY | O_DIRECTORY);
        /* What is mounted there has owners of its own; what went meanwhile is gone. */
        if (below < 0 && (errno == EXDEV || errno == ENOENT || errno == ENOTDIR))
            return;
        if (!enter(w, below))
            leave_alone(w, name, "it cannot be entered, or is too deep");
        return;
    }
    if (!is_strange(w->o, &st))
        return;
    _cleanup_close_ int fd = open_beneath_unmounted(folder, name, O_PATH);
    if (fd >= 0)
        give(w, fd, name);
}

static bool walk(struct walk *w, int home, const atomic_bool *stop)
{
    const struct dirent *e;

    if (!enter(w, openat(home, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
        return false;
    while (w->depth && !atomic_load(stop)) {
        DIR *d = w->levels[w->depth - 1];
        e = readdir(d);
        if (e == NULL)
            leave(w, true);
        else if (!is_dots(e->d_name))
            visit(w, dirfd(d), e->d_name);
    }
    bool whole = w->depth == 0;
    while (w->depth)
        leave(w, false);
    return whole;
}

bool mend_home(int home, const struct mend_order *o, const atomic_bool *stop, struct mend_count *count)
{
    struct walk *w = xcalloc(1, sizeof(*w));

    *w = (struct walk){.o = o, .count = count, .links = map_new(), .begun_us = clock_realtime_us()};
    bool whole = walk(w, home, stop);
    count->left += map_size(w->links);
    if (map_size(w->links))
        log_warning("in a home, %zu files are another's and stay so: they have further names outside of the home",
                    map_size(w->links));
    map_free(w->links, NULL);
    free(w);
    return whole;
}
