#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/runtime/runtime.h"

/*
 * Whether what runs is alive, for as long as it runs and whatever the engine believes: a descriptor of the first
 * process tells its end, and the readiness path is asked on a slow timer. One thread asks all that are due at once, so
 * that those that hang hold nobody up. Thread-safe.
 */
enum pulse_state {
    PULSE_WELL,
    PULSE_GONE,    /* its first process has ended */
    PULSE_CLOSED,  /* nobody listens at its address */
    PULSE_SILENT,  /* no answer in time, several times in a row */
    PULSE_FAILING, /* it answers by 5xx, several times in a row */
};

struct pulse {
    enum pulse_state state;
    unsigned status;  /* of PULSE_FAILING */
    int64_t since_us; /* monotonic; of the first miss */
    bool many;        /* most of all that are asked are silent: it may be the machine that is slow */
};

struct pulses_options {
    int stop_fd;
    /* The pulse of that one is another now. Called without a lock. */
    void (*changed)(void *arg, const char *name);
    void *arg;
};

struct pulses;
struct pulses *pulses_new(const struct pulses_options *options);
void pulses_start(struct pulses *p);
/* The stop descriptor must be readable; waits for the thread. */
void pulses_free(struct pulses *p);
/* Begins to ask; nothing new where it is asked at that address already. */
void pulses_watch(struct pulses *p, const char *name, const char *address, const char *path);
/* Its first process; takes the descriptor where that is a new one. */
void pulses_process(struct pulses *p, const char *name, struct runtime_process *process);
/* It is over. `end`: what is left of its first process is killed, if it is surely its own. */
void pulses_drop(struct pulses *p, const char *name, bool end);
struct pulse pulses_of(struct pulses *p, const char *name);
/* One round of asking, which the thread does again and again. */
void pulses_round(struct pulses *p, int64_t now_us);
