#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Whether an environment is in use, as a pure function of what was seen of it and of times (microseconds since 1970):
 *
 *   in use   somebody opens a page of it or sends it something, a kernel works, a terminal is used, its processes use
 *            the processor, a disk, or a GPU that it has
 *   not      a tab that is open, with all that it asks for by itself; a kernel that waits; a process that sleeps
 *
 * What nobody could tell at a look counts for nothing, either way, but for the processor: as long as that is not known,
 * an environment is in use, as every work that is not a wait shows there.
 */
enum source { SOURCE_VISITS, SOURCE_KERNELS, SOURCE_TERMINALS, SOURCE_PROCESSOR, SOURCE_DISK, SOURCE_GPU, SOURCES };
const char *source_name(enum source s);   /* «kernels», for people */
const char *source_reason(enum source s); /* «KernelBusy», of the condition InUse */
const char *source_busy(enum source s);   /* «a kernel works» */

enum sign {
    SIGN_NONE,   /* there is none of that in it */
    SIGN_UNTOLD, /* it could not be asked */
    SIGN_TOLD,
};
/* What is known of one source, up to the last look. */
struct source_past {
    enum sign sign;
    int64_t busy_us; /* when it was busy last; 0: not as long as it is watched */
    bool busy;       /* at the last look at which it could be asked */
};

struct idle_facts {
    int64_t limit_us;   /* idleStop; 0: never */
    int64_t warning_us; /* so long before its end that is said, at least */
    int64_t keep_us;    /* spec.keepUntil; 0: none */
    int64_t active_us;  /* when anything was busy last */
    int64_t watched_us; /* since when it is watched; what was before is known by `active_us` alone */
    int64_t warned_us;  /* since when its end is announced; 0: it is not */
    bool told;          /* the processor is known */
};

enum idle_kind { IDLE_KEEP, IDLE_SOON, IDLE_END };
struct idle_verdict {
    enum idle_kind kind;
    int64_t ends_us; /* of IDLE_SOON and IDLE_END: when it is ended, unless it is used */
};
struct idle_verdict idle_judge(const struct idle_facts *f, int64_t now_us);

/* «requests since …, kernels since …, no terminals, …»: since when each has been quiet. */
void idle_say_quiet(struct buffer *out, const struct source_past past[static SOURCES], int64_t watched_us);
/* The one that was busy last; SOURCES: none is known. */
enum source idle_last_busy(const struct source_past past[static SOURCES]);

/* How far before the end it is announced; how often it is looked at, and asked; in which steps its last activity is
 * written. */
int64_t idle_warning_us(int64_t limit_us);
int64_t idle_look_us(int64_t limit_us);
int64_t idle_ask_us(int64_t limit_us);
int64_t idle_step_us(int64_t limit_us);
