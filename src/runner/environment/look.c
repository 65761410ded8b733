#include "runner/environment/look.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kinds/sandbox.h"
#include "runner/environment/ended.h"
#include "runner/environment/failed.h"

/* What a runner before this one started: the runtime says the rest. */
static bool adopt(struct environments *es, struct environment *e, struct instance *i)
{
    _cleanup_cached_ struct cached *cached = e->sandbox ? informer_get(es->sandboxes, e->sandbox) : NULL;
    struct sandbox s = {.readiness_path = "/"};

    if (e->token == NULL)
        e->token = steal_ptr(i->token);
    environment_take_endpoints(e, i);
    if (e->token == NULL || i->cut_off)
        return false;
    if (e->readiness_path)
        return true;
    if (cached)
        sandbox_read(cached->object, &s);
    e->readiness_path = xstrdup(s.readiness_path);
    return true;
}

static void take_running(struct environments *es, struct environment *e, struct instance *i)
{
    if (!adopt(es, e, i)) {
        environment_ended(es, e, NULL, i->cut_off ? i->cut_off : "its token was lost");
        return;
    }
    e->container = CONTAINER_RUNNING;
    free(e->gpus);
    e->gpus = steal_ptr(i->gpus);
    if (i->image)
        snprintf(e->image, sizeof(e->image), "%s", i->image);
    e->pid = i->process.pid;
    pulses_process(es->pulses, e->name, &i->process);
    e->dirty |= e->unsupervised != i->unsupervised;
    e->unsupervised = i->unsupervised;
    if (e->paused || i->paused)
        e->paused_us = clock_monotonic_us();
    e->paused = i->paused;
    if (!e->met && e->phase == PHASE_RUNNING)
        log_info("%s: adopted", e->name);
    if (!e->met && e->phase != PHASE_RUNNING) /* started by the runner before this one: it has its whole time again */
        environment_enter(e, PHASE_STARTING, limits.starting_seconds);
    e->met = true;
}

/* Not running and not seen running by this process: left half made by a kill, or by a restart of the machine. */
static void take_stopped(struct environments *es, struct environment *e, const struct instance *i)
{
    if (e->met && i->state == INSTANCE_ENDED) {
        environment_ended(es, e, i, NULL);
        return;
    }
    e->container = CONTAINER_ABSENT;
}

static void take_absent(struct environments *es, struct environment *e)
{
    if (e->met)
        environment_ended(es, e, NULL, "its container was removed from outside");
    else
        e->container = CONTAINER_ABSENT;
}

bool environment_look(struct environments *es, struct environment *e)
{
    _cleanup_instance_ struct instance i = {0};
    _cleanup_error_ struct error *err = NULL;

    if (!environment_take_look(es, e) && e->container != CONTAINER_UNKNOWN)
        return true;
    if (es->runtime->ops->inspect(es->runtime, e->instance, &i, &err) == 0) {
        if (i.started_us && e->started_us == 0 && e->phase == PHASE_RUNNING)
            e->started_us = i.started_us;
        if (i.state == INSTANCE_RUNNING)
            take_running(es, e, &i);
        else
            take_stopped(es, e, &i);
        return true;
    }
    if (err->reason == REASON_NOT_FOUND) {
        take_absent(es, e);
        return true;
    }
    e->container = e->container == CONTAINER_RUNNING ? CONTAINER_RUNNING : CONTAINER_UNKNOWN;
    environment_ask_look(es, e->name);
    if (e->phase == PHASE_RUNNING) /* nothing is known to be wrong with it */
        environment_retry(es, e);
    else
        environment_stumble(es, e, "EngineError", err);
    return false;
}
