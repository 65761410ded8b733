#include "cli/restart.h"

#define SECOND_US INT64_C(1000000)
#define SHORT_LIFE_US (5 * SECOND_US)
#define LONGEST_US (30 * SECOND_US)

int64_t restart_pause(struct restart *r, int64_t lived_us)
{
    int64_t pause = SECOND_US;

    if (lived_us >= SHORT_LIFE_US) {
        r->quick = 0;
        return 0;
    }
    if (++r->quick == 1)
        return 0;
    for (unsigned i = 2; i < r->quick && pause < LONGEST_US; i++)
        pause *= 2;
    return pause < LONGEST_US ? pause : LONGEST_US;
}
