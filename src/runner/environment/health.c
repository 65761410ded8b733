#include "runner/environment/health.h"

#include <stdio.h>

#include "base/log.h"
#include "runner/environment/ended.h"

/* What the pulse of a running environment leads to. What is surely dead is started again, and counts as an end. What
 * hangs may hold somebody's unsaved work, or the machine may be slow: that is said, and passes by itself; only after
 * `silent_seconds` is it started again, unless most others are silent as well, or the engine says that it is paused. */

/* The engine gets some time to find out by itself: it knows exit code and reason. */
static bool wait_for_engine(struct environments *es, struct environment *e, const struct pulse *p, int64_t now)
{
    if (now - p->since_us >= (int64_t)limits.gone_grace_ms * 1000)
        return false;
    environment_ask_look(es, e->name);
    queue_add_after(es->queue, e->name, limits.gone_grace_ms / 6);
    return true;
}

bool environment_silent_too_long(const struct environment *e, const struct pulse *p, int64_t now)
{
    int64_t since = p->since_us > e->paused_us ? p->since_us : e->paused_us;

    return p->state == PULSE_SILENT && !p->many && !e->paused &&
           now - since >= (int64_t)limits.silent_seconds * 1000000;
}

bool environment_lives(struct environments *es, struct environment *e, int64_t now)
{
    struct pulse p = pulses_of(es->pulses, e->name);
    char what[96];

    if (p.state == PULSE_GONE) {
        if (wait_for_engine(es, e, &p, now))
            return true;
        environment_ended(es, e, NULL, "its first process is gone, although the container engine says that it runs");
        return false;
    }
    if (p.state == PULSE_CLOSED) {
        environment_ended(es, e, NULL, "nothing listens on its socket any more");
        return false;
    }
    if (environment_silent_too_long(e, &p, now)) {
        snprintf(what, sizeof(what), "it gave no answer for %u minutes", limits.silent_seconds / 60);
        environment_ended(es, e, NULL, what);
        return false;
    }
    return true;
}

static void say_unwell(struct environment *e, const struct pulse *p)
{
    if (e->paused)
        environment_set(e, PHASE_RUNNING, "Paused", "%s", "it was paused at the container engine");
    else if (p->state == PULSE_SILENT)
        environment_set(
            e, PHASE_RUNNING, "NotAnswering",
            "it gives no answer within %u s: busy, stopped or hanging; it is started again after %u minutes "
            "of that",
            (limits.ask_answer_ms + 999) / 1000, limits.silent_seconds / 60);
    else
        environment_set(e, PHASE_RUNNING, "AnswersWithErrors", "it answers by an error (%u)", p->status);
}

void environment_say_health(struct environments *es, struct environment *e)
{
    struct pulse p = pulses_of(es->pulses, e->name);
    bool unwell = e->paused || p.state == PULSE_SILENT || p.state == PULSE_FAILING;

    if (unwell != e->unwell)
        log_info("%s: %s", e->name, unwell ? "does not answer as it should" : "answers again");
    e->unwell = unwell;
    if (unwell)
        say_unwell(e, &p);
    else
        environment_set(e, PHASE_RUNNING, "Running", "%s", "it answers");
}
