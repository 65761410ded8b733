#include "runner/home_deeds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "base/io.h"
#include "runner/engine/place.h"
#include "runner/homes/whose.h"

/* --- A home and the folder beside it --- */

struct held {
    int parent, lock, folder; /* the folder is the one in which the home has its name */
};

static void held_end(struct held *h)
{
    int *const all[] = {&h->folder, &h->lock, &h->parent};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (*all[i] >= 0)
            close(*all[i]);
}
#define _cleanup_held_ _cleanup_(held_end)

static int hold(const struct home_entry *e, struct held *h, struct error **err)
{
    const char *path = home_kind_folder(e->kind);

    *h = (struct held){open(e->place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1, -1};
    if (h->parent < 0)
        return error_errno(err, errno, "open %s", e->place->path);
    h->lock = homes_lock(h->parent, err);
    if (h->lock < 0)
        return -1;
    h->folder = open_beneath(h->parent, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
    return h->folder < 0 ? error_errno(err, errno, "open %s/%s", e->place->path, path) : 0;
}

/* Since it was read, and perhaps asked about, somebody else may have got the name, and begun a home. */
static int check_same(const struct held *h, const struct home_entry *e, struct error **err)
{
    struct home_record record;
    bool known = e->kind == HOME_PRESENT && record_read(h->parent, e->name, &record, NULL) > 0;

    if (e->kind != HOME_PRESENT || streq(known ? record.uid : "", e->uid))
        return 0;
    return error_set(err, REASON_CONFLICT, "%s is somebody else's by now: look again", e->id);
}

static bool shows(const struct home_deed *d, int folder, const char *name)
{
    _cleanup_close_ int home = open_beneath(folder, name, O_PATH | O_DIRECTORY, 0);
    return home >= 0 && place_shows_home(d->environments, home);
}

bool home_is_in_use(const struct home_deed *d, const struct home_entry *e)
{
    const char *path = home_entry_path(d->arena, e);
    _cleanup_close_ int home = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return home >= 0 && place_shows_home(d->environments, home);
}

static int refuse_in_use(const char *what, struct error **err)
{
    return error_set(err, REASON_CONFLICT, "an environment has %s now: delete that environment first", what);
}

/* --- Attach --- */

#define SKELETON_DEEPEST 8
#define SKELETON_MOST 200 /* looked at, and removed, while all starts wait for the lock */

/* Folders and nothing else, and not many, as a start makes them. */
static bool is_unused(int folder, unsigned deepest, unsigned *left)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    bool unused = d != NULL;

    while (unused && (e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        _cleanup_close_ int below = open_beneath_unmounted(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY);
        if (*left)
            --*left;
        unused = below >= 0 && deepest && *left && is_unused(below, deepest - 1, left);
    }
    if (d)
        closedir(d);
    return unused;
}

/* Of one that is unused: folders alone. */
static void remove_unused(int folder, const char *name)
{
    int fd = open_beneath_unmounted(folder, name, O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (!is_dots(e->d_name))
            remove_unused(dirfd(d), e->d_name);
    if (d)
        closedir(d);
    (void)(unlinkat(folder, name, AT_REMOVEDIR) < 0); /* what is not empty stays among those that are kept */
}

/* As its new place says: nothing that a student named gets in the way, as nothing is replaced. */
static int into_folder(const struct held *h, const struct home_entry *e, const char *user,
                       char name[static KEPT_NAME_SIZE], struct error **err)
{
    _cleanup_close_ int home = open_beneath(h->parent, user, O_RDONLY | O_DIRECTORY, 0);

    if (home < 0)
        return error_errno(err, errno, "open the home of %s", user);
    for (unsigned i = 1; i < 100; i++) {
        if (i == 1)
            snprintf(name, KEPT_NAME_SIZE, "former-home-of-%s", e->user);
        else
            snprintf(name, KEPT_NAME_SIZE, "former-home-of-%s-%u", e->user, i);
        if (homes_rename(h->folder, e->name, home, name) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return errno == EXDEV
               ? error_set(err, REASON_CONFLICT,
                           "%s and the home of %s are on different file systems, or in different quotas: copy "
                           "it there by hand (`cp -a`), and the next start gives the files to %s",
                           e->id, user, user)
               : error_errno(err, errno, "move %s into the home of %s", e->id, user);
}

/* The user's empty one goes aside first, labelled as that user's: a kill leaves both whole. */
static int become_home(const struct held *h, const struct home_entry *e, const char *user, const char *uid,
                       struct error **err)
{
    char empty[KEPT_NAME_SIZE] = "";
    struct stat st;

    if (fstatat(h->parent, user, &st, AT_SYMLINK_NOFOLLOW) == 0 && kept_set_aside(h->parent, user, uid, empty, err) < 0)
        return -1;
    if (homes_rename(h->folder, e->name, h->parent, user) < 0)
        return error_errno(err, errno, "move %s to the home of %s", e->id, user);
    _cleanup_close_ int kept = *empty ? homes_open_own(h->parent, KEPT_FOLDER, err) : -1;
    if (kept >= 0)
        remove_unused(kept, empty);
    return e->kind == HOME_PRESENT ? record_remove(h->parent, e->name, err) : 0;
}

static int note_not_seen(int parent, const char *user, struct home_record *record, struct error **err)
{
    record->seen = (struct home_ids){0};
    return record_write(parent, user, record, err);
}

static int check_attach(const struct home_deed *d, const struct held *h, const struct home_entry *e, const char *user,
                        const char *uid, struct error **err)
{
    if (e->kind == HOME_REMOVED)
        return error_set(err, REASON_CONFLICT, "%s is being removed", e->id);
    if (e->kind == HOME_PRESENT && streq(e->name, user) && streq(e->uid, uid))
        return error_set(err, REASON_INVALID, "%s is the home of %s already", e->id, user);
    if (shows(d, h->folder, e->name))
        return refuse_in_use(e->id, err);
    return shows(d, h->parent, user) ? refuse_in_use(arena_printf(d->arena, "the home of %s", user), err) : 0;
}

static int take_over(const struct held *h, const struct home_entry *e, const char *uid, struct error **err)
{
    struct home_record record = {.since_us = clock_realtime_us()};

    snprintf(record.uid, sizeof(record.uid), "%s", uid);
    if (record_write(h->parent, e->name, &record, err) < 0)
        return -1;
    printf("%s is the home of the present %s now; the next start of the environment gives the files to that user\n",
           e->id, e->name);
    return 0;
}

int home_attach(const struct home_deed *d, const struct home_entry *e, const char *user, const char *uid,
                struct error **err)
{
    const struct home_claim claim = {.user = user, .uid = uid};
    char name[KEPT_NAME_SIZE], kept[KEPT_NAME_SIZE];
    struct home_record record;
    _cleanup_held_ struct held h;

    if (hold(e, &h, err) < 0 || check_same(&h, e, err) < 0 || check_attach(d, &h, e, user, uid, err) < 0)
        return -1;
    if (e->kind == HOME_PRESENT && streq(e->name, user)) /* of a former one of that name, in its place still */
        return take_over(&h, e, uid, err);
    if (whose_settle(h.parent, &claim, &record, kept, err) < 0 || note_not_seen(h.parent, user, &record, err) < 0)
        return -1;
    _cleanup_close_ int home = open_beneath(h.parent, user, O_RDONLY | O_DIRECTORY, 0);
    unsigned left = SKELETON_MOST;
    bool whole = home < 0 || is_unused(home, SKELETON_DEEPEST, &left);
    if (whole ? become_home(&h, e, user, uid, err) < 0 : into_folder(&h, e, user, name, err) < 0)
        return -1;
    if (whole)
        printf("%s is the home of %s now", e->id, user);
    else
        printf("%s is in the home of %s now, as the folder %s", e->id, user, name);
    printf("; the next start of the environment gives the files to that user\n");
    return 0;
}

/* --- Tools --- */

/* Returns its exit code. */
static int run_tool(char *const *argv, struct error **err)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return error_errno(err, errno, "fork");
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "wait for %s", argv[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* --- Archive --- */

static char *compression(struct arena *a, const char *file, struct error **err)
{
    static const char *const known[][2] = {
        {".tar.zst", "--zstd"}, {".tar.gz", "--gzip"}, {".tgz", "--gzip"}, {".tar", "--sparse"}};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (ends_with(file, known[i][0]))
            return arena_strdup(a, known[i][1]);
    (void)error_set(err, REASON_INVALID, "%s: the name has to end with .tar.zst, .tar.gz, .tgz or .tar", file);
    return NULL;
}

static int take_archive(const char *fresh, const char *file, struct error **err)
{
    _cleanup_close_ int fd = open(fresh, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "sync %s", fresh);
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, file, RENAME_NOREPLACE) < 0)
        return error_errno(err, errno, "rename %s to %s", fresh, file);
    return 0;
}

int home_archive(const struct home_deed *d, const struct home_entry *e, const char *file, struct error **err)
{
    struct arena *a = d->arena;
    char *how = compression(a, file, err), *fresh = arena_printf(a, "%s.new", file);
    char *folder = arena_printf(a, "%s/%s", e->place->path, home_kind_folder(e->kind));
    char *argv[] = {(char[]){"tar"},
                    (char[]){"--create"},
                    (char[]){"--numeric-owner"},
                    (char[]){"--one-file-system"},
                    (char[]){"--xattrs"},
                    (char[]){"--force-local"}, /* a name with a colon is no other machine's */
                    how,
                    (char[]){"--file"},
                    fresh,
                    (char[]){"--directory"},
                    folder,
                    (char[]){"--"},
                    NULL,
                    NULL};

    if (how == NULL)
        return -1;
    argv[ARRAY_SIZE(argv) - 2] = arena_strdup(a, e->name);
    if (path_exists(file))
        return error_set(err, REASON_ALREADY_EXISTS, "%s is there already", file);
    unlink(fresh);
    _cleanup_close_ int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "create %s", fresh);
    int code = run_tool(argv, err);
    bool changed = code == 1; /* a file changed while it was read */
    if (code == 0 || changed) {
        if (changed)
            fprintf(stderr, "%s is in use: files changed while they were read\n", e->id);
        return take_archive(fresh, file, err);
    }
    unlink(fresh);
    return code < 0 ? -1
                    : error_set(err, REASON_INTERNAL, "tar ended with exit code %d: %s was not written", code, file);
}

/* --- Remove --- */

static int erase(const struct home_deed *d, const struct home_entry *e, const char *name, struct error **err)
{
    char *path = arena_printf(d->arena, "%s/%s%s", e->place->path, home_kind_folder(HOME_REMOVED), name);
    char *argv[] = {(char[]){"rm"}, (char[]){"-rf"}, (char[]){"--one-file-system"}, (char[]){"--"}, path, NULL};
    int code = run_tool(argv, err);

    if (code == 0)
        return 0;
    return code < 0 ? -1
                    : error_set(err, REASON_INTERNAL, "rm ended with exit code %d: what is left of %s is in %s", code,
                                e->id, path);
}

/* One rename, after which it is no home of anybody's; what follows may be killed, and is done by the next removal. */
static int put_away(const struct home_deed *d, const struct home_entry *e, char name[static KEPT_NAME_SIZE],
                    struct error **err)
{
    _cleanup_held_ struct held h;

    if (hold(e, &h, err) < 0 || check_same(&h, e, err) < 0)
        return -1;
    if (shows(d, h.folder, e->name))
        return refuse_in_use(e->id, err);
    if (e->kind == HOME_PRESENT) {
        if (kept_set_aside(h.parent, e->user, *e->uid ? e->uid : NULL, name, err) < 0 ||
            record_remove(h.parent, e->user, err) < 0)
            return -1;
    } else {
        snprintf(name, KEPT_NAME_SIZE, "%s", e->name);
    }
    if (e->kind == HOME_REMOVED)
        return 0;
    _cleanup_close_ int removed = homes_open_own(h.parent, REMOVED_FOLDER, err);
    _cleanup_close_ int kept = removed < 0 ? -1 : homes_open_own(h.parent, KEPT_FOLDER, err);
    if (kept < 0)
        return -1;
    return homes_rename(kept, name, removed, name) < 0 ? error_errno(err, errno, "put %s away", e->id) : 0;
}

int home_remove(const struct home_deed *d, const struct home_entry *e, struct error **err)
{
    char name[KEPT_NAME_SIZE];

    if (d->dry_run) {
        printf("%s: would be removed\n", e->id);
        return 0;
    }
    if (put_away(d, e, name, err) < 0 || erase(d, e, name, err) < 0)
        return -1;
    printf("%s: removed\n", e->id);
    return 0;
}
