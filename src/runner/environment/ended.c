#include "runner/environment/ended.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runner/environment/failed.h"
#include "runner/environment/shortage.h"

static unsigned backoff_ms(unsigned restarts)
{
    return limits.restart_first_ms << (restarts > 6 ? 6 : restarts);
}

bool environment_may_restart(struct environment *e, int64_t now_us)
{
    if (now_us - e->window_since_us > (int64_t)limits.restart_window_seconds * 1000000)
        e->restarts_in_window = 0;
    return e->restarts_in_window < limits.restart_limit;
}

/* The window begins with the first of it. */
void environment_count_restart(struct environment *e, int64_t now_us)
{
    if (e->restarts_in_window == 0)
        e->window_since_us = now_us;
    e->restarts++;
    e->restarts_in_window++;
}

static char *describe(const struct environment *e, const struct instance *i, const char *what)
{
    const char *said = i && i->said ? i->said : "";

    if (i && i->out_of_memory)
        return xasprintf("it used more memory than its limit and was ended by the kernel (exit code %d)", i->exit_code);
    if (i)
        return xasprintf("it ended by itself with exit code %d%s%s", i->exit_code, *said ? ": " : "", said);
    return xstrdup(what);
}

void environment_ended(struct environments *es, struct environment *e, const struct instance *i, const char *what)
{
    _cleanup_free_ char *description = describe(e, i, what);
    const char *reason = i && i->out_of_memory ? "OutOfMemory" : "Ended";
    _cleanup_error_ struct error *err = NULL;
    int64_t now = clock_monotonic_us();

    free(e->log);
    e->log = environment_log(es, e);
    log_warning("%s: %s", e->name, description);
    if (i && i->out_of_memory)
        environment_note_killed(e, clock_realtime_us());
    if (!environment_may_restart(e, now)) {
        _cleanup_free_ char *message =
            xasprintf("%s; started again %u times, then given up", description, e->restarts_in_window);
        environment_fail(es, e, reason, message, true);
        return;
    }
    if (es->runtime->ops->end(es->runtime, e->instance, 0, &err) < 0) {
        e->container = CONTAINER_UNKNOWN; /* it is looked at again */
        environment_stumble(es, e, reason, err);
        return;
    }
    unsigned pause = backoff_ms(e->restarts_in_window);
    environment_count_restart(e, now);
    pulses_drop(es->pulses, e->name, true);
    activities_drop(es->activities, e->name);
    e->container = CONTAINER_ABSENT;
    e->pid = 0;
    e->met = e->unwell = e->paused = e->unsupervised = false;
    e->not_before_us = now + (int64_t)pause * 1000;
    environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    environment_set(e, PHASE_STARTING, reason, "%s; starting again (%u of %u)", description, e->restarts_in_window,
                    limits.restart_limit);
    queue_add_after(es->queue, e->name, pause);
}
