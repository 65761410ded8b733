#include "server/api/watch_time.h"

#include "base/str.h"

/* Between once and twice as long, so that many that began together do not end together. */
static int64_t spread(int64_t us, uint32_t random)
{
    return us + us / 1000 * (random % 1000);
}

int watch_duration(const char *asked, unsigned configured, uint32_t random, int64_t *us, struct error **err)
{
    unsigned long long seconds = 0;

    if (asked && asked[0] && str_to_u64(str_from(asked), INT64_MAX, &seconds) < 0)
        return error_set(err, REASON_BAD_REQUEST, "timeoutSeconds: Invalid value: \"%.64s\"", asked);
    if (seconds == 0)
        *us = spread((int64_t)(configured ? configured : WATCH_SECONDS) * 1000000, random);
    else
        *us = (int64_t)(seconds < WATCH_LONGEST_SECONDS ? seconds : WATCH_LONGEST_SECONDS) * 1000000;
    return 0;
}
