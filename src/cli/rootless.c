#include "cli/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#define FIND_MS 30000 /* Podman's first run makes its storage */
#define MARK "open-hydra-inside "
#define MAX_VARIABLES_SIZE ((size_t)1 << 20)

extern char **environ;

struct rootless {
    int user, mount;
    char *variables; /* "name=value" one after the other, each ended by NUL, then an empty one */
};

void rootless_free(struct rootless *r)
{
    if (r == NULL)
        return;
    cleanup_closep(&r->user);
    cleanup_closep(&r->mount);
    free(r->variables);
    free(r);
}

/* --- Finding --- */

/* A process in there: says its number and lives until its input ends (executing another program meanwhile, it would
 * have no variables for a moment). */
struct guide {
    pid_t podman;
    int input, output;
};

/* Its ends of the two pipes become its input and output. */
static int spawn_guide(pid_t *pid, int input, int output)
{
    char *const argv[] = {(char[]){"podman"},
                          (char[]){"unshare"},
                          (char[]){"sh"},
                          (char[]){"-c"},
                          (char[]){"echo " MARK "$$ && read -r end"},
                          NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    posix_spawn_file_actions_adddup2(&files, output, 1);
    posix_spawn_file_actions_adddup2(&files, output, 2);
    /* Podman's pause process stays, in the folder where it was begun. */
    posix_spawn_file_actions_addchdir_np(&files, "/");
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    int rc = posix_spawnp(pid, "podman", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start_guide(struct guide *g, struct error **err)
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return error_errno(err, errno, "pipe");
    }
    int rc = spawn_guide(&g->podman, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    g->input = in[1];
    g->output = out[0];
    if (rc == ENOENT)
        return error_set(err, REASON_NOT_FOUND, "podman is not installed: tools/setup run");
    return rc ? error_errno(err, rc, "podman unshare") : 0;
}

static void end_guide(struct guide *g)
{
    cleanup_closep(&g->input);
    cleanup_closep(&g->output);
    if (g->podman <= 0)
        return;
    for (int i = 0; i < 100; i++) {
        if (waitpid(g->podman, NULL, WNOHANG) != 0)
            return;
        usleep(20000);
    }
    kill(g->podman, SIGKILL);
    waitpid(g->podman, NULL, 0);
}

static pid_t number_in(const struct buffer *b)
{
    const char *at = b->p ? strstr(b->p, MARK) : NULL;
    long number = at && strchr(at, '\n') ? strtol(at + strlen(MARK), NULL, 10) : 0;

    return number > 0 ? (pid_t)number : 0;
}

/* What podman said, on one line. */
static int rootless_refused(struct buffer *said, struct error **err)
{
    for (size_t i = 0; i < said->n; i++)
        if (said->p[i] == '\n')
            said->p[i] = ' ';
    return error_set(err, REASON_FORBIDDEN, "podman unshare gives no user namespace: %.600s",
                     said->n ? said->p : "it says nothing");
}

static pid_t wait_for_number(const struct guide *g, struct error **err)
{
    _cleanup_buffer_ struct buffer said = BUFFER_MAX(65536);
    int64_t deadline = clock_monotonic_us() + FIND_MS * INT64_C(1000);
    char piece[4096];
    pid_t pid;

    while ((pid = number_in(&said)) == 0) {
        struct pollfd fd = {.fd = g->output, .events = POLLIN};
        int64_t left = (deadline - clock_monotonic_us()) / 1000;
        ssize_t n = left > 0 && poll(&fd, 1, (int)left) > 0 ? read(g->output, piece, sizeof(piece)) : 0;
        if (n <= 0)
            return rootless_refused(&said, err);
        buffer_append(&said, piece, (size_t)n);
    }
    return pid;
}

static int open_of(pid_t pid, const char *what, int flags, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int)pid, what);
    int fd = open(path, flags | O_CLOEXEC);

    return fd < 0 ? error_errno(err, errno, "open %s", path) : fd;
}

/* Podman tells what it starts in there by variables that it is there already. */
static char *variables_of(pid_t pid, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/environ", (int)pid);
    size_t n;
    _cleanup_free_ char *all = read_file(path, MAX_VARIABLES_SIZE, &n, err);
    _cleanup_buffer_ struct buffer kept = BUFFER_MAX(MAX_VARIABLES_SIZE);

    if (all == NULL)
        return NULL;
    for (const char *at = all; at < all + n; at += strlen(at) + 1)
        if (starts_with(at, "_CONTAINERS_") && strchr(at, '='))
            buffer_append(&kept, at, strlen(at) + 1);
    if (kept.n == 0) {
        error_set(err, REASON_INTERNAL, "podman unshare says nothing of its user namespace to what it starts");
        return NULL;
    }
    buffer_append(&kept, "", 1);
    return buffer_steal(&kept);
}

static int look_at_process(struct rootless *r, pid_t pid, struct error **err)
{
    r->user = open_of(pid, "ns/user", O_RDONLY, err);
    r->mount = r->user < 0 ? -1 : open_of(pid, "ns/mnt", O_RDONLY, err);
    r->variables = r->mount < 0 ? NULL : variables_of(pid, err);
    return r->variables ? 0 : -1;
}

static int find_namespaces(struct rootless *r, struct error **err)
{
    struct guide g = {0, -1, -1};
    int rc = start_guide(&g, err);
    pid_t pid = rc < 0 ? -1 : wait_for_number(&g, err);

    if (pid >= 0)
        rc = look_at_process(r, pid, err);
    end_guide(&g);
    return pid < 0 ? -1 : rc;
}

/* Left alone, Podman 4 without fuse-overlayfs begins with «vfs», which copies the whole image for each container. A
 * store of that kind stays as it is. */
static void prefer_overlay(void)
{
    const char *state = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    _cleanup_free_ char *store = state && *state
                                     ? xasprintf("%s/containers/storage/vfs", state)
                                     : xasprintf("%s/.local/share/containers/storage/vfs", home ? home : "");

    if (!path_exists(store))
        setenv("STORAGE_DRIVER", "overlay", 0);
}

struct rootless *rootless_find(void)
{
    _cleanup_error_ struct error *err = NULL;

    if (geteuid() == 0)
        return NULL;
    struct rootless *r = xcalloc(1, sizeof(*r));
    r->user = r->mount = -1;
    prefer_overlay();
    if (find_namespaces(r, &err) == 0)
        return r;
    log_warning("no environment can be started without root here: %s", err->message);
    rootless_free(r);
    return NULL;
}

/* --- Going there --- */

int rootless_enter(const struct rootless *r, struct error **err)
{
    int parent_death = 0;

    if (r == NULL)
        return 0;
    /* A change of credentials clears it. */
    prctl(PR_GET_PDEATHSIG, &parent_death);
    if (setns(r->user, CLONE_NEWUSER) < 0)
        return error_errno(err, errno, "enter Podman's user namespace");
    if (setns(r->mount, CLONE_NEWNS) < 0)
        return error_errno(err, errno, "enter Podman's mount namespace");
    if (parent_death)
        prctl(PR_SET_PDEATHSIG, parent_death);
    for (char *at = r->variables; *at; at += strlen(at) + 1) {
        char *value = strchr(at, '=');
        _cleanup_free_ char *name = xstrndup(at, (size_t)(value - at));
        setenv(name, value + 1, 1);
    }
    return 0;
}

static int write_to(const char *path, const char *text, struct error **err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    return write_all(fd, text, strlen(text), err);
}

static int map_self(int others, const char *user, const char *group, struct error **err)
{
    if (unshare(CLONE_NEWUSER | others) < 0)
        return error_errno(err, errno, "make a user namespace");
    /* The change of namespace closed our own files in /proc to ourselves. */
    prctl(PR_SET_DUMPABLE, 1);
    if (write_to("/proc/self/setgroups", "deny", err) < 0 || write_to("/proc/self/uid_map", user, err) < 0 ||
        write_to("/proc/self/gid_map", group, err) < 0)
        return error_wrap(err, "a user namespace with the own id");
    return 0;
}

int own_user_namespace(int others, struct error **err)
{
    _cleanup_free_ char *user = xasprintf("%u %u 1\n", (unsigned)geteuid(), (unsigned)geteuid());
    _cleanup_free_ char *group = xasprintf("%u %u 1\n", (unsigned)getegid(), (unsigned)getegid());

    return map_self(others, user, group, err);
}

int rootless_enter_as_self(const struct rootless *r, struct error **err)
{
    _cleanup_free_ char *user = xasprintf("%u 0 1\n", (unsigned)geteuid());
    _cleanup_free_ char *group = xasprintf("%u 0 1\n", (unsigned)getegid());

    if (r == NULL)
        return 0;
    return rootless_enter(r, err) < 0 ? -1 : map_self(0, user, group, err);
}
