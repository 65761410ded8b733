#include "support/kill_at.h"

#include <signal.h>
#include <stdlib.h>
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

/* Stops at the entry and at the end of each call. */
bool kill_at(unsigned nth, void (*work)(void *arg), void *arg)
{
    int status;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid == 0)
        be_traced(work, arg);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
        abort();
    for (unsigned stops = 0; stops < nth * 2 + 1; stops++) {
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) < 0)
            abort();
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return false;
        if (!WIFSTOPPED(status))
            abort();
    }
    kill(pid, SIGKILL);
    while (waitpid(-1, &status, 0) > 0) /* programs that it had started come to their end */
        ;
    return true;
}
