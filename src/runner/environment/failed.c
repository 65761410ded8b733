#include "runner/environment/failed.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

void environment_fail(struct environments *es, struct environment *e, const char *reason, const char *message,
                      bool settled)
{
    if (e->log == NULL && e->container == CONTAINER_RUNNING)
        e->log = environment_log(es, e);
    environment_clear_away(es, e);
    if (!streq(e->reason, reason))
        log_warning("%s: %s: %s", e->name, reason, message);
    environment_set(e, PHASE_FAILED, reason, "%s", message);
    e->settled = settled;
    if (settled)
        return;
    queue_add_after(es->queue, e->name, limits.image_missing_seconds * 1000);
}

static bool is_disk_full(const struct error *err)
{
    return strcasestr(err->message, "no space left on device") != NULL ||
           strcasestr(err->message, "disk quota exceeded") != NULL;
}

void environment_stumble(struct environments *es, struct environment *e, const char *reason, const struct error *err)
{
    bool away = err->reason == REASON_SERVICE_UNAVAILABLE;

    if (environments_stopping(es))
        return;
    if (away)
        reason = "EngineUnavailable";
    else if (is_disk_full(err))
        reason = "DiskFull";
    if (!away && environment_late(e)) {
        environment_fail(es, e, reason, err->message, true);
        return;
    }
    if (e->phase != PHASE_FAILED)
        environment_set(e, e->phase, reason, "%s; trying again", err->message);
    unsigned pause = environment_retry(es, e);
    /* The status that says so comes back as an event, which must not be the next try. An engine that was away and comes
     * is one. */
    if (!away)
        e->not_before_us = clock_monotonic_us() + (int64_t)pause * 1000;
}

void environment_not_made(struct environments *es, struct environment *e, const struct error *err)
{
    e->container = CONTAINER_UNKNOWN;
    if (err->reason == REASON_INVALID && !is_disk_full(err))
        environment_fail(es, e, "EngineRefused", err->message, true);
    else
        environment_stumble(es, e, "EngineError", err);
}
