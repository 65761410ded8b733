#pragma once

#include "base/json.h"
#include "runner/environment/idle.h"
#include "runner/runtime/runtime.h"

/*
 * One look at one environment: what was asked of whom, and what that says of each source. The sources are rows of a
 * table (activity_look.c): where its own server is asked, and what «busy» means.
 */
struct look {
    int64_t now_us;
    /* The runtime: what it had used before, and has used now. */
    struct runtime_work before, after;
    int64_t between_us; /* 0: not both are known */
    /* The server, of the gateway. */
    bool visits_told;
    int64_t visit_us; /* 0: none that it knows of */
    /* Those of the GPUs that it has that are busy most; negative: none is known. */
    int gpu_percent;
    bool has_gpus, gpu_is_own; /* own: something of it uses the GPU, or nobody knows */
    /* Its own server, where the row has a path. */
    struct look_answer {
        bool told, there;
        yyjson_val *root; /* NULL: no JSON */
    } answers[SOURCES];
};

struct sighting {
    enum sign sign;
    int64_t busy_us; /* when it was busy last, as far as this look tells; the look's own time: it is. 0: nothing */
};
struct sighting look_at(const struct look *l, enum source s);
/* Where an environment's own server is asked; NULL: this is found out otherwise. */
const char *look_path(enum source s);
