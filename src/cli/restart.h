#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * When a part that ended is started again: at once where it had lived for a while, and once more after that; then
 * after pauses that grow, so that a lasting cause makes neither a busy loop nor a flood in the log.
 */
struct restart {
    unsigned quick; /* how often in a row it ended soon after its start */
};

/* How long to wait, in microseconds, now that it has ended after `lived_us`. `killed`: somebody else ended it, from
 * which nothing follows for the next one; the pause stays short. */
int64_t restart_pause(struct restart *r, int64_t lived_us, bool killed);
/* Whether waitpid's status says that: a signal that is sent (SIGKILL: also by the kernel for want of memory), no fault
 * of its own. */
bool restart_was_killed(int status);
