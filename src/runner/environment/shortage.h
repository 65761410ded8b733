#pragma once

#include "runner/environment/environment.h"

/* What an environment lacked: noted while it runs, and said by conditions, which are there once it happened. */
enum shortage { SHORTAGE_MEMORY, SHORTAGE_PROCESSES, SHORTAGE_ROOM };
#define SHORTAGES 3

/* Asks the runtime. `object`: its device, which says what the runner before this one knew. */
void environment_note_shortage(struct environments *es, struct environment *e, yyjson_val *object, int64_t now_us);
/* Its first process was ended for memory, and with it all. */
void environment_note_killed(struct environment *e, int64_t now_us);
/* It is made anew: the kernel counts from 0. */
void environment_count_anew(struct environment *e);

struct shortage_said {
    const char *type; /* of the condition */
    bool holds;
    const char *reason, *message; /* message in the arena, or NULL */
};
/* False: it says nothing of this one. Times are of the wall clock. */
bool environment_short_of(const struct environments *es, const struct environment *e, enum shortage what,
                          yyjson_val *object, int64_t now_us, struct arena *a, struct shortage_said *out);
