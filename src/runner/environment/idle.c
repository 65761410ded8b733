#include "runner/environment/idle.h"

#include "base/clock.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)

static const struct {
    const char *name, *reason, *busy;
} sources[SOURCES] = {
    [SOURCE_VISITS] = {"requests", "Visited", "somebody opened a page of it or sent it something"},
    [SOURCE_KERNELS] = {"kernels", "KernelBusy", "a kernel works"},
    [SOURCE_TERMINALS] = {"terminals", "TerminalUsed", "a terminal is used"},
    [SOURCE_PROCESSOR] = {"processor", "ProcessorBusy", "its programs use the processor"},
    [SOURCE_DISK] = {"disk", "DiskBusy", "its programs read, write, or wait for a disk"},
    [SOURCE_GPU] = {"GPU", "GPUBusy", "a GPU that it has works for it"},
};

const char *source_name(enum source s)
{
    return sources[s].name;
}

const char *source_reason(enum source s)
{
    return sources[s].reason;
}

const char *source_busy(enum source s)
{
    return sources[s].busy;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t within(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

int64_t idle_warning_us(int64_t limit_us)
{
    return within(limit_us / 4, 0, HOUR / 2);
}

int64_t idle_look_us(int64_t limit_us)
{
    return limit_us ? within(limit_us / 8, SECOND, 60 * SECOND) : 60 * SECOND;
}

int64_t idle_ask_us(int64_t limit_us)
{
    return limit_us ? within(limit_us / 100, SECOND, 300 * SECOND) : 300 * SECOND;
}

int64_t idle_step_us(int64_t limit_us)
{
    return limit_us ? within(limit_us / 12, SECOND, HOUR) : HOUR;
}

struct idle_verdict idle_judge(const struct idle_facts *f, int64_t now_us)
{
    /* Nothing is ended that was not seen quiet for the time of the warning, whoever watched it before. */
    int64_t ends = later(later(f->active_us + f->limit_us, f->keep_us), f->watched_us + f->warning_us);

    if (f->limit_us == 0 || !f->told || now_us < ends - f->warning_us)
        return (struct idle_verdict){IDLE_KEEP, 0};
    ends = later(ends, (f->warned_us ? f->warned_us : now_us) + f->warning_us);
    return (struct idle_verdict){f->warned_us && now_us >= ends ? IDLE_END : IDLE_SOON, ends};
}

static void say_source(struct buffer *out, enum source s, const struct source_past *p, int64_t watched_us)
{
    char when[TIMESTAMP_SIZE];

    timestamp(when, p->busy_us ? p->busy_us : watched_us);
    if (p->sign == SIGN_NONE)
        buffer_printf(out, "no %s", sources[s].name);
    else if (p->busy_us == 0 && p->sign == SIGN_UNTOLD)
        buffer_printf(out, "%s not known", sources[s].name);
    else
        buffer_printf(out, "%s %s %s", sources[s].name, p->busy_us ? "since" : "since before", when);
}

void idle_say_quiet(struct buffer *out, const struct source_past past[static SOURCES], int64_t watched_us)
{
    for (enum source s = 0; s < SOURCES; s++) {
        buffer_puts(out, s ? ", " : "");
        say_source(out, s, &past[s], watched_us);
    }
}

enum source idle_last_busy(const struct source_past past[static SOURCES])
{
    enum source last = SOURCES;

    /* Of several the first: a kernel that works uses the processor too. */
    for (enum source s = 0; s < SOURCES; s++)
        if (past[s].busy_us && (last == SOURCES || past[s].busy_us > past[last].busy_us))
            last = s;
    return last;
}
