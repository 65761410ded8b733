#include "server/store/trim.h"

#include "base/clock.h"
#include "server/store/opened.h"

void store_trim(struct store *s)
{
    int64_t now_s = clock_realtime_us() / 1000000;
    const struct log_limits limits = {
        .events = s->log_max_events,
        .bytes = s->log_max_bytes,
        .oldest_s = s->log_max_age_seconds ? now_s - s->log_max_age_seconds : 0,
    };

    for (size_t i = 0; i < s->cache.collections_len; i++)
        log_trim_track(&s->cache.log, &s->cache.collections[i]->track, now_s);
    int64_t pushed_out = log_trim(&s->cache.log, &limits);
    if (pushed_out)
        s->pushed_out_s = pushed_out;
}
