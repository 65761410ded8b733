#include "cli/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/title.h"

#define MESSAGE_MAX ((size_t)64 << 10)
#define WITHIN_US (INT64_C(30) * 1000000)

/* What comes through the pipe, before the message. */
struct outcome {
    int rc;
    enum reason reason;
};

static _Noreturn void work_and_tell(int fd, int (*work)(void *arg, struct error **err), void *arg)
{
    struct error *why = NULL;

    title_set("keys");
    prctl(PR_SET_NAME, "hydra-keys");
    struct outcome o = {.rc = work(arg, &why)};
    struct error *untold = NULL;

    o.reason = why ? why->reason : REASON_INTERNAL;
    if (write_all(fd, &o, sizeof(o), &untold) == 0 && why)
        (void)(write_all(fd, why->message, strlen(why->message), &untold) < 0); /* then the message is shorter */
    /* Not exit(): what the parent registered for its own end is not ours to do. */
    _exit(0);
}

/* Whose files it writes may stop it, too. */
static void read_to_end(int fd, struct buffer *b, int64_t within_us)
{
    int64_t deadline = clock_monotonic_us() + within_us;
    char piece[4096];
    ssize_t n = 1;

    while (n) {
        int64_t left = (deadline - clock_monotonic_us()) / 1000;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno != EINTR)
            return;
        buffer_append(b, piece, n > 0 ? (size_t)n : 0);
        n = n < 0 ? 1 : n;
    }
}

int apart_within(int64_t within_us, int (*work)(void *arg, struct error **err), void *arg, struct error **err)
{
    _cleanup_buffer_ struct buffer answer = BUFFER_MAX(MESSAGE_MAX);
    struct outcome o;
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(err, errno, "pipe");
    pid_t pid = fork();
    if (pid == 0)
        work_and_tell(pipe_fds[1], work, arg);
    close(pipe_fds[1]);
    if (pid > 0)
        read_to_end(pipe_fds[0], &answer, within_us);
    close(pipe_fds[0]);
    if (pid < 0)
        return error_errno(err, errno, "fork");
    /* It has told all that it will tell. */
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (answer.n < sizeof(o))
        return error_set(err, REASON_INTERNAL, "a process ended, or stood still, before it had done its work");
    memcpy(&o, answer.p, sizeof(o));
    return o.rc < 0 ? error_set(err, o.reason, "%s", answer.p + sizeof(o)) : o.rc;
}

int apart(int (*work)(void *arg, struct error **err), void *arg, struct error **err)
{
    return apart_within(WITHIN_US, work, arg, err);
}
