#include "cli/restart.h"

#include <signal.h>
#include <sys/wait.h>

#define SECOND_US INT64_C(1000000)
#define SHORT_LIFE_US (5 * SECOND_US)
#define LONGEST_US (30 * SECOND_US)
#define LONGEST_KILLED_US (5 * SECOND_US)

int64_t restart_pause(struct restart *r, int64_t lived_us, bool killed)
{
    int64_t pause = SECOND_US, longest = killed ? LONGEST_KILLED_US : LONGEST_US;

    if (lived_us >= SHORT_LIFE_US) {
        r->quick = 0;
        return 0;
    }
    if (++r->quick == 1)
        return 0;
    for (unsigned i = 2; i < r->quick && pause < longest; i++)
        pause *= 2;
    return pause < longest ? pause : longest;
}

bool restart_was_killed(int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}
