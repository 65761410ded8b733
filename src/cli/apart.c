#include "cli/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/io.h"

#define MESSAGE_MAX ((size_t)64 << 10)

/* What comes through the pipe, before the message. */
struct outcome {
    int rc;
    enum reason reason;
};

static _Noreturn void work_and_tell(int fd, int (*work)(void *arg, struct error **err), void *arg)
{
    struct error *why = NULL;
    struct outcome o = {.rc = work(arg, &why)};
    struct error *untold = NULL;

    o.reason = why ? why->reason : REASON_INTERNAL;
    if (write_all(fd, &o, sizeof(o), &untold) == 0 && why)
        (void)(write_all(fd, why->message, strlen(why->message), &untold) < 0); /* then the message is shorter */
    /* Not exit(): what the parent registered for its own end is not ours to do. */
    _exit(0);
}

static void read_to_end(int fd, struct buffer *b)
{
    char piece[4096];
    ssize_t n;

    while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR))
        buffer_append(b, piece, n > 0 ? (size_t)n : 0);
}

int apart(int (*work)(void *arg, struct error **err), void *arg, struct error **err)
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
        read_to_end(pipe_fds[0], &answer);
    close(pipe_fds[0]);
    if (pid < 0)
        return error_errno(err, errno, "fork");
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (answer.n < sizeof(o))
        return error_set(err, REASON_INTERNAL, "a process ended before it had done its work");
    memcpy(&o, answer.p, sizeof(o));
    return o.rc < 0 ? error_set(err, o.reason, "%s", answer.p + sizeof(o)) : o.rc;
}
