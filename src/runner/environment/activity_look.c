#include "runner/environment/activity_look.h"

#include "base/clock.h"

#define SECOND INT64_C(1000000)
/* Less than that, averaged over the time between two looks, is what a server with idle kernels and open tabs needs. */
#define CPU_MILLI 50
#define DISK_BYTES_PER_SECOND (64 << 10)
#define DISK_WAIT_PERCENT 5
#define GPU_PERCENT 3

static struct sighting busy(const struct look *l)
{
    return (struct sighting){SIGN_TOLD, l->now_us};
}

static struct sighting quiet_since(int64_t us)
{
    return (struct sighting){SIGN_TOLD, us};
}

static struct sighting nothing(enum sign sign)
{
    return (struct sighting){sign, 0};
}

static struct sighting look_at_visits(const struct look *l, const struct look_answer *a)
{
    return l->visits_told ? quiet_since(l->visit_us) : nothing(SIGN_UNTOLD);
}

/* Of Jupyter's lists: the latest last_activity. What pings a WebSocket, or is asked by a page of itself, is none. */
static int64_t last_activity(yyjson_val *list)
{
    int64_t last = 0, at;
    size_t i, max;
    yyjson_val *one;

    yyjson_arr_foreach (list, i, max, one) {
        const char *text = json_str_at(one, "last_activity");
        if (text && timestamp_parse(str_from(text), &at) == 0 && at > last)
            last = at;
    }
    return last;
}

static bool has_busy_kernel(yyjson_val *list)
{
    size_t i, max;
    yyjson_val *one;

    yyjson_arr_foreach (list, i, max, one) {
        if (streq(json_str_at(one, "execution_state"), "busy"))
            return true;
    }
    return false;
}

/* Whether an answer is the list that Jupyter gives; `*out` otherwise. */
static bool is_list(const struct look_answer *a, struct sighting *out)
{
    *out = nothing(a->told ? SIGN_NONE : SIGN_UNTOLD);
    return a->told && a->there && yyjson_is_arr(a->root);
}

static struct sighting look_at_kernels(const struct look *l, const struct look_answer *a)
{
    struct sighting none;

    if (!is_list(a, &none))
        return none;
    return has_busy_kernel(a->root) ? busy(l) : quiet_since(last_activity(a->root));
}

static struct sighting look_at_terminals(const struct look *l, const struct look_answer *a)
{
    struct sighting none;

    if (!is_list(a, &none))
        return none;
    return yyjson_arr_size(a->root) ? quiet_since(last_activity(a->root)) : nothing(SIGN_NONE);
}

/* Counters that went back belong to a container that was started again. */
static uint64_t used(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

static struct sighting look_at_processor(const struct look *l, const struct look_answer *a)
{
    if (l->between_us <= 0)
        return nothing(SIGN_UNTOLD);
    uint64_t milli = used(l->before.cpu_us, l->after.cpu_us) * 1000 / (uint64_t)l->between_us;
    return milli >= CPU_MILLI ? busy(l) : quiet_since(0);
}

static struct sighting look_at_disk(const struct look *l, const struct look_answer *a)
{
    if (l->between_us <= 0)
        return nothing(SIGN_UNTOLD);
    uint64_t between = (uint64_t)l->between_us;
    uint64_t bytes = used(l->before.io_bytes, l->after.io_bytes) * SECOND / between;
    uint64_t waits = used(l->before.io_wait_us, l->after.io_wait_us) * 100 / between;
    return bytes >= DISK_BYTES_PER_SECOND || waits >= DISK_WAIT_PERCENT ? busy(l) : quiet_since(0);
}

static struct sighting look_at_gpus(const struct look *l, const struct look_answer *a)
{
    if (!l->has_gpus)
        return nothing(SIGN_NONE);
    if (l->gpu_percent < 0)
        return nothing(SIGN_UNTOLD);
    return l->gpu_percent >= GPU_PERCENT && l->gpu_is_own ? busy(l) : quiet_since(0);
}

/*
 * code-server's own heartbeat (/healthz) is none of these: it goes on as long as a tab is open. What somebody does in
 * VS Code shows as what it costs the processor and the disk.
 */
static const struct row {
    const char *path;
    struct sighting (*look)(const struct look *l, const struct look_answer *a);
} rows[SOURCES] = {
    [SOURCE_VISITS] = {NULL, look_at_visits},
    [SOURCE_KERNELS] = {"/api/kernels", look_at_kernels},
    [SOURCE_TERMINALS] = {"/api/terminals", look_at_terminals},
    [SOURCE_PROCESSOR] = {NULL, look_at_processor},
    [SOURCE_DISK] = {NULL, look_at_disk},
    [SOURCE_GPU] = {NULL, look_at_gpus},
};

const char *look_path(enum source s)
{
    return rows[s].path;
}

struct sighting look_at(const struct look *l, enum source s)
{
    struct sighting found = rows[s].look(l, &l->answers[s]);

    /* A clock inside that goes ahead of ours, or a lie, says nothing of the future. */
    if (found.busy_us > l->now_us)
        found.busy_us = l->now_us;
    return found;
}
