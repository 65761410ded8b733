#include "runner/environment/ended.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runner/environment/cause.h"
#include "runner/environment/failed.h"
#include "runner/environment/safe_mode.h"
#include "runner/environment/shortage.h"

#define CAUSE_LINES 400 /* a traceback is long */

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

/* Of a start that failed; what ran had other reasons to end. */
static const struct cause *find_cause(struct environments *es, struct environment *e)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);

    if (e->phase == PHASE_RUNNING || environment_read_end(es, e, CAUSE_LINES, &text) < 0)
        return NULL;
    return cause_in(buffer_str(&text));
}

/* A start that failed without the home's settings too fails as others do. */
static bool goes_on_in_safe_mode(struct environment *e, const char *reason, const char *description)
{
    if (e->phase == PHASE_RUNNING)
        return false;
    _cleanup_free_ char *message =
        xasprintf("its start failed: %s. Settings, packages and start files in the home are not read. Mend what is "
                  "wrong, then delete the environment and create it again",
                  description);
    return environment_try_safe(e, streq(reason, "Ended") ? "StartFailed" : reason, message);
}

void environment_ended(struct environments *es, struct environment *e, const struct instance *i, const char *what)
{
    bool out_of_memory = i && i->out_of_memory;
    const struct cause *cause = out_of_memory ? NULL : find_cause(es, e);
    _cleanup_free_ char *plain = describe(e, i, what);
    _cleanup_free_ char *description = cause ? xasprintf("%s (%s)", cause->message, plain) : xstrdup(plain);
    const char *reason = out_of_memory ? "OutOfMemory" : cause ? cause->reason : "Ended";
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
    bool safe = !out_of_memory && goes_on_in_safe_mode(e, reason, description);
    unsigned pause = backoff_ms(e->restarts_in_window);
    environment_count_restart(e, now);
    pulses_drop(es->pulses, e->name, true);
    activities_drop(es->activities, e->name);
    e->container = CONTAINER_ABSENT;
    e->pid = 0;
    e->met = e->unwell = e->paused = e->unsupervised = false;
    e->not_before_us = now + (int64_t)pause * 1000;
    environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    environment_set(e, PHASE_STARTING, reason, "%s; starting again%s (%u of %u)", description,
                    safe ? " in safe mode" : "", e->restarts_in_window, limits.restart_limit);
    queue_add_after(es->queue, e->name, pause);
}
