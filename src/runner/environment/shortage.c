#include "runner/environment/shortage.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runner/environment/spec.h"

#define NEWS_SECONDS 60 /* what happens again and again is written once in so long */

static const char *const types[] = {
    [SHORTAGE_MEMORY] = "OutOfMemory", [SHORTAGE_PROCESSES] = "OutOfProcesses", [SHORTAGE_ROOM] = "OutOfSpace"};

static yyjson_val *present_condition(yyjson_val *object, enum shortage what)
{
    return device_condition(object, types[what]);
}

/* --- Noted --- */

static void note(struct environment *e, struct lack *l, uint64_t counted, uint64_t used, int64_t now)
{
    bool more = counted > l->counted;

    l->counted = counted;
    if (!more || (l->last_us && now - l->last_us < (int64_t)NEWS_SECONDS * 1000000))
        return;
    l->last_us = now;
    l->used = used;
    e->dirty = true;
}

/* What was counted before this runner came was said by the one before it, if that one said anything. */
static void take_over(struct lack *l, uint64_t counted, yyjson_val *said)
{
    const char *since = json_str_at(said, "lastTransitionTime");

    if (said)
        l->counted = counted;
    if (streq(json_str_at(said, "status"), "True") && since && timestamp_parse(str_from(since), &l->last_us) < 0)
        l->last_us = 0;
}

void environment_note_shortage(struct environments *es, struct environment *e, yyjson_val *object, int64_t now)
{
    struct runtime_shortage s;

    if (es->runtime->ops->shortage == NULL || !es->runtime->ops->shortage(es->runtime, e->instance, &s))
        return;
    if (!e->lacks_known) {
        take_over(&e->memory_lack, s.memory_kills, present_condition(object, SHORTAGE_MEMORY));
        take_over(&e->process_lack, s.refused_processes, present_condition(object, SHORTAGE_PROCESSES));
    }
    e->lacks_known = true;
    if (s.memory_kills > e->memory_lack.counted)
        log_info("%s: a process of it was ended by the kernel for memory", e->name);
    note(e, &e->memory_lack, s.memory_kills, s.memory_bytes, now);
    note(e, &e->process_lack, s.refused_processes, 0, now);
    e->dirty |= e->full != s.full;
    e->full = s.full;
}

void environment_note_killed(struct environment *e, int64_t now)
{
    e->memory_lack.last_us = now;
    e->memory_lack.used = 0;
    e->dirty = true;
}

void environment_count_anew(struct environment *e)
{
    e->lacks_known = true;
    e->memory_lack.counted = e->process_lack.counted = 0;
    e->full = NULL;
}

/* --- Said --- */

static bool is_lately(const struct lack *l, int64_t now)
{
    return l->last_us && now - l->last_us < (int64_t)limits.shortage_seconds * 1000000;
}

static const char *say_memory(const struct environments *es, const struct environment *e, yyjson_val *object,
                              const char *when, struct arena *a)
{
    unsigned long long most = device_memory_mib(es->config, json_str_at(object, "spec.deviceRam"));
    const char *use = e->memory_lack.used
                          ? arena_printf(a, " (%llu MiB afterwards)", (unsigned long long)e->memory_lack.used >> 20)
                          : "";
    return arena_printf(a,
                        "at %s the kernel ended what used most, as all %llu MiB of the environment's memory were in "
                        "use%s; files in /tmp and /dev/shm count too",
                        when, most, use);
}

static const char *say_processes(const struct environment *e, const char *when, struct arena *a)
{
    const char *most = e->processes ? arena_printf(a, " (%u)", e->processes) : "";
    return arena_printf(a, "at %s no process or thread could be started, as there were as many as there may be%s", when,
                        most);
}

static bool say_room(const struct environment *e, yyjson_val *object, struct arena *a, struct shortage_said *out)
{
    out->holds = e->full && e->container == CONTAINER_RUNNING;
    out->reason = out->holds ? "NoSpaceLeft" : "SpaceLeft";
    if (out->holds)
        out->message = arena_printf(a, "%s is full: delete files in it; it is memory, which others need too", e->full);
    return out->holds || present_condition(object, SHORTAGE_ROOM);
}

bool environment_short_of(const struct environments *es, const struct environment *e, enum shortage what,
                          yyjson_val *object, int64_t now, struct arena *a, struct shortage_said *out)
{
    const struct lack *l = what == SHORTAGE_MEMORY ? &e->memory_lack : &e->process_lack;
    char when[TIMESTAMP_SIZE];

    *out = (struct shortage_said){.type = types[what]};
    if (what == SHORTAGE_ROOM)
        return say_room(e, object, a, out);
    if (l->last_us == 0)
        return false;
    timestamp(when, l->last_us);
    out->holds = is_lately(l, now);
    if (!out->holds) {
        out->reason = "NotLately";
        out->message = arena_printf(a, "it was so at %s", when);
        return true;
    }
    out->reason = what == SHORTAGE_MEMORY ? "KilledForMemory" : "ProcessesRefused";
    out->message = what == SHORTAGE_MEMORY ? say_memory(es, e, object, when, a) : say_processes(e, when, a);
    return true;
}
