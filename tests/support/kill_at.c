#include "support/kill_at.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_traced(void (*work)(void *arg), void *arg)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    raise(SIGSTOP);
    work(arg);
    _exit(0);
}

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "kill_at: %s: %s, status %#x\n", what, strerror(errno), (unsigned)status);
    abort();
}

/* Stops at the entry and at the end of each call. */
bool kill_at(unsigned nth, void (*work)(void *arg), void *arg)
{
    int status = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid == 0)
        be_traced(work, arg);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
        give_up("start", status);
    for (unsigned stops = 0; stops < nth * 2 + 1; stops++) {
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) < 0)
            give_up("wait", status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return false;
        if (!WIFSTOPPED(status))
            give_up("its work failed", status);
    }
    kill(pid, SIGKILL);
    while (waitpid(-1, &status, 0) > 0) /* programs that it had started come to their end */
        ;
    return true;
}
