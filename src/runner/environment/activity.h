#pragma once

#include "client/client.h"
#include "runner/environment/idle.h"
#include "runner/runtime/runtime.h"

/*
 * Who works in what runs, and whether it is to be ended because nobody does. One thread looks at all, each at a time
 * of its own: at numbers of the kernel's, and, where these are quiet, at what the server says of visitors, and its own
 * server of itself. What is to be said of it changes in steps, so that a status is written once an hour rather than at
 * each look. Thread-safe.
 */
struct activity_subject {
    const char *name, *instance, *address, *token;
    const char *gpus; /* ids, joined by commas; NULL: none */
    pid_t pid;        /* of its first process; 0: not known */
    int64_t limit_us; /* idleStop; 0: never */
    int64_t keep_us;  /* spec.keepUntil; 0: none */
    int64_t last_us;  /* status.lastActivity, as another runner wrote it; 0: nothing is known */
};

/* What is to be said now. */
struct activity {
    bool known;      /* it was looked at */
    int64_t last_us; /* status.lastActivity */
    struct activity_usage {
        uint64_t cpu_milli, memory_bytes;
        unsigned processes;
    } usage;
    bool usage_known;
    bool in_use;
    char reason[32], message[512]; /* of the condition InUse */
    struct idle_verdict verdict;
};

struct activities_options {
    int stop_fd;
    struct client *client;
    struct runtime *runtime;
    /* There is something else to say of that one. Called without a lock. */
    void (*changed)(void *arg, const char *name);
    void *arg;
};

struct activities;
struct activities *activities_new(const struct activities_options *options);
void activities_start(struct activities *a);
/* The stop descriptor must be readable; waits for the thread, which asks the runtime. */
void activities_stop(struct activities *a);
void activities_free(struct activities *a);
/* It runs: begins to look, or takes over what is different now, and judges anew. */
void activities_watch(struct activities *a, const struct activity_subject *s);
void activities_drop(struct activities *a, const char *name);
/* False: nothing is known of that one. */
bool activities_of(struct activities *a, const char *name, struct activity *out);
/* One round of looking, which the thread does again and again; `now_us` is the wall clock's. */
void activities_round(struct activities *a, int64_t now_us);
/* The wall clock was set by that much: what was before stays as long ago as it was. */
void activities_shift(struct activities *a, int64_t by_us);
