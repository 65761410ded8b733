#include "runner/source/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#define ARGUMENTS_MAX 64
#define PIECE ((size_t)256 << 10)
#define WORDS_MAX ((size_t)16 << 10)
#define LAST_WORDS 400
#define LOOK_MS 1000
#define NOBODY "65534"
#define MEMORY "--as=4294967296"

/* --- Its start --- */

struct command {
    const char *words[ARGUMENTS_MAX];
    size_t n;
    char file_size[40], cpu[32];
};

static void add(struct command *c, const char *word)
{
    if (c->n + 1 < ARGUMENTS_MAX)
        c->words[c->n++] = word;
}

/* By the system's own tools, each of which executes the next. */
static void wrap(struct command *c, const struct process *p)
{
    bool root = geteuid() == 0;

    if (root && !p->network) {
        add(c, "/usr/bin/unshare");
        add(c, "--net");
        add(c, "--");
    }
    add(c, "/usr/bin/prlimit");
    snprintf(c->file_size, sizeof(c->file_size), "--fsize=%llu", (unsigned long long)p->file_bytes);
    snprintf(c->cpu, sizeof(c->cpu), "--cpu=%u", p->seconds);
    add(c, c->file_size);
    add(c, c->cpu);
    add(c, MEMORY);
    add(c, "--core=0");
    add(c, "--nofile=256");
    add(c, "--");
    add(c, "/usr/bin/setpriv");
    if (root) {
        add(c, "--reuid=" NOBODY);
        add(c, "--regid=" NOBODY);
        add(c, "--clear-groups");
        add(c, "--bounding-set=-all");
        add(c, "--inh-caps=-all");
    }
    add(c, "--no-new-privs");
    add(c, "--pdeathsig=KILL");
    add(c, "--");
    for (size_t i = 0; p->arguments[i]; i++)
        add(c, p->arguments[i]);
}

struct child {
    pid_t pid;
    int out, words;
};

static const char *const environment[] = {
    "PATH=/usr/bin:/bin",          "LANG=C.UTF-8",          "HOME=/nonexistent",      "GIT_CONFIG_NOSYSTEM=1",
    "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", NULL};

static int spawn(const struct process *p, const int fds[3], pid_t *pid)
{
    struct command c = {0};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;

    wrap(&c, p);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawn_file_actions_addfchdir_np(&files, p->folder);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&files, fds[i], i);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawn(pid, c.words[0], &files, &how, (char *const *)(uintptr_t)c.words,
                         (char *const *)(uintptr_t)environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start(const struct process *p, struct child *c, struct error **err)
{
    int out[2], words[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    _cleanup_close_ int read_out = out[0], write_out = out[1];
    if (pipe2(words, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    _cleanup_close_ int read_words = words[0], write_words = words[1];
    _cleanup_close_ int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int rc = nothing < 0 ? errno : spawn(p, (const int[3]){nothing, write_out, write_words}, &c->pid);
    if (rc != 0)
        return error_errno(err, rc, "start %s", p->arguments[0]);
    c->out = steal_fd(read_out);
    c->words = steal_fd(read_words);
    return 0;
}

/* --- While it runs --- */

struct hearing {
    const struct process *p;
    struct child child;
    int64_t until_us;
    char *piece;
    struct buffer words;
};

/* 0: its end; 1: something. */
static int hear_output(struct hearing *h, struct error **err)
{
    ssize_t n = read(h->child.out, h->piece, PIECE);

    if (n < 0)
        return errno == EINTR ? 1 : error_errno(err, errno, "read from %s", h->p->arguments[0]);
    if (n == 0)
        return 0;
    return h->p->take(h->p->arg, (struct str){h->piece, (size_t)n}, err) < 0 ? -1 : 1;
}

/* The last of it counts. */
static int hear_words(struct hearing *h)
{
    char text[4096];
    ssize_t n = read(h->child.words, text, sizeof(text));

    if (n <= 0)
        return 0;
    if (h->words.n + (size_t)n > WORDS_MAX)
        buffer_clear(&h->words);
    buffer_append(&h->words, text, (size_t)n);
    return 1;
}

static int check_time(const struct hearing *h, struct error **err)
{
    if (h->p->stop_fd >= 0 && poll(&(struct pollfd){.fd = h->p->stop_fd, .events = POLLIN}, 1, 0) > 0)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "it was stopped");
    if (clock_monotonic_us() > h->until_us)
        return error_set(err, REASON_TIMEOUT, "it takes longer than %u seconds", h->p->seconds);
    return h->p->take(h->p->arg, STR(""), err);
}

static int hear(struct hearing *h, struct error **err)
{
    struct pollfd fds[2] = {{.fd = h->child.out, .events = POLLIN}, {.fd = h->child.words, .events = POLLIN}};

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
            return error_errno(err, errno, "poll");
        int out = fds[0].revents ? hear_output(h, err) : 1;
        if (out < 0 || check_time(h, err) < 0)
            return -1;
        fds[0].fd = out == 0 ? -1 : fds[0].fd;
        if (fds[1].revents && hear_words(h) == 0)
            fds[1].fd = -1;
    }
    return 0;
}

static const char *last_words(struct hearing *h)
{
    struct str said = str_trim(buffer_str(&h->words));

    if (said.n == 0)
        return "it said nothing";
    char *end = h->words.p + (said.p - h->words.p) + said.n, *begin = end - (said.n < LAST_WORDS ? said.n : LAST_WORDS);
    /* Not in the middle of a character: in JSON that is none. */
    while (begin < end && ((unsigned char)*begin & 0xc0) == 0x80)
        begin++;
    begin[text_clean(begin, (size_t)(end - begin), "")] = '\0';
    return begin;
}

static int finish(struct hearing *h, int rc, struct error **err)
{
    int status = 0;

    if (rc < 0)
        kill(-h->child.pid, SIGKILL);
    while (waitpid(h->child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    kill(-h->child.pid, SIGKILL); /* what it left behind */
    if (rc < 0 || status == 0)
        return rc;
    const char *name = strrchr(h->p->arguments[0], '/');
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "more comes of it than %llu bytes",
                         (unsigned long long)h->p->file_bytes);
    return error_set(err, REASON_INVALID, "%s: %s", name ? name + 1 : "", last_words(h));
}

int process_run(const struct process *p, struct error **err)
{
    struct hearing h = {
        .p = p, .until_us = clock_monotonic_us() + (int64_t)p->seconds * 1000000, .words = BUFFER_MAX(WORDS_MAX)};

    if (start(p, &h.child, err) < 0)
        return -1;
    h.piece = xmalloc(PIECE);
    int rc = finish(&h, hear(&h, err), err);
    close(h.child.out);
    close(h.child.words);
    free(h.piece);
    buffer_free(&h.words);
    return rc;
}
