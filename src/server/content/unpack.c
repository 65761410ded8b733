#include "server/content/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "unpack/wire.h"

#define SILENT_SECONDS 60
#define ASK_MS 1000
#define PROGRAM "open-hydra-unpack"
/* What is given to it is first moved out of the way of the numbers that it gets. */
#define ABOVE_ALL 10

/* --- The program --- */

static int prepared = -1; /* once, before there are threads */

static int open_beside(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PROGRAM) - 1);

    if (n <= 0)
        return -1;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
    return open(path, O_PATH | O_CLOEXEC);
}

static int find_program(const char *path, struct error **err)
{
    int fd = path ? open(path, O_PATH | O_CLOEXEC) : open_beside();

    if (fd < 0 && path == NULL)
        fd = open(UNPACK_INSTALLED, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s, which unpacks archives", path ? path : UNPACK_INSTALLED);
    return fd;
}

int unpack_prepare(const char *path, struct error **err)
{
    int fd = find_program(path, err);

    if (fd < 0)
        return -1;
    if (prepared >= 0)
        close(prepared);
    prepared = fd;
    return 0;
}

/* --- Its start --- */

struct child {
    pid_t pid;
    int records; /* what it says */
};

struct numbers {
    char parent[16], bytes[24], entries[16], depth[16], ratio[16];
};

static void print_numbers(struct numbers *n, const struct unpack_limits *l)
{
    snprintf(n->parent, sizeof(n->parent), "%d", getpid());
    snprintf(n->bytes, sizeof(n->bytes), "%" PRIu64, l->bytes);
    snprintf(n->entries, sizeof(n->entries), "%u", l->entries);
    snprintf(n->depth, sizeof(n->depth), "%u", l->depth);
    snprintf(n->ratio, sizeof(n->ratio), "%u", l->ratio);
}

/* Numbers only; no environment, which may hold what is nobody's business. */
static int spawn(int program, const char *name, const struct unpack_limits *limits, const int fds[3], pid_t *pid)
{
    static const int places[3] = {UNPACK_ARCHIVE, UNPACK_RECORDS, UNPACK_FOLDER};
    char path[32], word[] = PROGRAM, *nothing[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    struct numbers n;
    sigset_t none;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
    print_numbers(&n, limits);
    _cleanup_free_ char *copy = xstrdup(name);
    char *argv[] = {word, n.parent, copy, n.bytes, n.entries, n.depth, n.ratio, NULL};
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    for (size_t i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&files, fds[i], places[i]);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(pid, path, &files, &how, argv, nothing);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start_program(int program, int archive, const char *name, int folder, const struct unpack_limits *limits,
                         struct child *child, struct error **err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    _cleanup_close_ int records = ends[0], told = ends[1];
    _cleanup_close_ int from = fcntl(archive, F_DUPFD_CLOEXEC, ABOVE_ALL);
    _cleanup_close_ int to = fcntl(told, F_DUPFD_CLOEXEC, ABOVE_ALL);
    _cleanup_close_ int into = fcntl(folder, F_DUPFD_CLOEXEC, ABOVE_ALL);
    if (from < 0 || to < 0 || into < 0)
        return error_errno(err, errno, "descriptors for " PROGRAM);
    int rc = spawn(program, name, limits, (const int[3]){from, to, into}, &child->pid);
    if (rc != 0)
        return error_errno(err, rc, "start " PROGRAM);
    child->records = steal_fd(records);
    return 0;
}

static int start(int archive, const char *name, int folder, const struct unpack_limits *limits, struct child *child,
                 struct error **err)
{
    _cleanup_close_ int found = prepared >= 0 ? -1 : find_program(NULL, err);

    if (prepared < 0 && found < 0)
        return -1;
    return start_program(prepared >= 0 ? prepared : found, archive, name, folder, limits, child, err);
}

/* --- What it says --- */

struct watcher {
    struct child child;
    int64_t silent_us;
    int (*progress)(void *arg, uint64_t bytes, uint64_t files);
    void *arg;
    struct unpack_record record; /* the last one */
};

static bool is_reason(uint32_t reason)
{
    return reason == REASON_BAD_REQUEST || reason == REASON_REQUEST_TOO_LARGE || reason == REASON_INSUFFICIENT_STORAGE;
}

static int failed(const struct unpack_record *r, struct error **err)
{
    char text[sizeof(r->message)];

    memcpy(text, r->message, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[text_clean(text, strlen(text), "")] = '\0';
    return error_set(err, is_reason(r->reason) ? (enum reason)r->reason : REASON_INTERNAL, "%s", text);
}

/* It says no more: it has ended, or else is made to (what ends by itself keeps its own status). */
static int ended(struct watcher *w, struct error **err)
{
    int status = 0;

    kill(w->child.pid, SIGKILL);
    while (waitpid(w->child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    w->child.pid = -1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return error_set(err, REASON_TIMEOUT, "it takes too long to unpack for what comes of it");
    if (WIFSIGNALED(status))
        return error_set(err, REASON_INTERNAL, PROGRAM " was ended by signal %d", WTERMSIG(status));
    return error_set(err, REASON_INTERNAL, PROGRAM " ended without a result (%d)", WEXITSTATUS(status));
}

/* Returns 1 where a record came, 0 where none did in a while. */
static int next_record(struct watcher *w, struct error **err)
{
    struct pollfd p = {.fd = w->child.records, .events = POLLIN};
    int n = poll(&p, 1, ASK_MS);

    if (n < 0 && errno != EINTR)
        return error_errno(err, errno, "poll");
    if (n <= 0)
        return 0;
    ssize_t got = read(w->child.records, &w->record, sizeof(w->record));
    return got == (ssize_t)sizeof(w->record) ? 1 : ended(w, err);
}

static int watch(struct watcher *w, struct error **err)
{
    int64_t heard = clock_monotonic_us();

    for (;;) {
        int came = next_record(w, err);
        if (came < 0)
            return -1;
        if (came && w->record.kind == UNPACK_FAILED)
            return failed(&w->record, err);
        if (came && w->record.kind == UNPACK_DONE)
            return 0;
        if (came)
            heard = clock_monotonic_us();
        if (clock_monotonic_us() - heard > w->silent_us)
            return error_set(err, REASON_TIMEOUT, "nothing came of it for %d seconds", (int)(w->silent_us / 1000000));
        if (w->progress && w->progress(w->arg, w->record.bytes, w->record.files) < 0)
            return error_set(err, REASON_CONFLICT, "it was ended");
    }
}

/* Whatever it still does. */
static void finish(struct child *c)
{
    close(c->records);
    if (c->pid < 0)
        return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int unpack(int archive, const char *name, int folder, const struct unpack_limits *limits,
           int (*progress)(void *arg, uint64_t bytes, uint64_t files), void *arg, struct unpack_result *out,
           struct error **err)
{
    unsigned seconds = limits->silent_seconds ? limits->silent_seconds : SILENT_SECONDS;
    struct watcher w = {.progress = progress, .arg = arg, .silent_us = (int64_t)seconds * 1000000};

    if (start(archive, name, folder, limits, &w.child, err) < 0)
        return error_wrap(err, "unpack \"%.300s\"", name);
    int rc = watch(&w, err);
    finish(&w.child);
    *out = (struct unpack_result){.bytes = w.record.bytes, .files = w.record.files};
    return rc;
}
