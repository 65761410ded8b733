#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "runner/engine/calls.h"
#include "runner/engine/process.h"
#include "unit/client/answerer.h"

/* A runtime whose containers are threads that listen in folders that the engine's own host part makes, and which fails to
 * order. */
struct fake_container {
    bool there, listening;
    char id[64], uid[64], device[64], owner[64], token[96], socket[108]; /* socket: as it sees it */
    char image[IMAGE_ID_MAX];
    struct id_range ids;
    uint64_t revision;
    enum instance_state state;
    int exit_code, pid;
    bool out_of_memory, paused, unsupervised;
    struct answerer answerer;
};

struct fake_failure {
    const char *op;
    enum reason reason;
    const char *message;
    unsigned times;
};

struct fake {
    struct runtime base;
    pthread_mutex_t lock;
    struct runtime_listener listener;
    struct engine host; /* what environments have on this machine; nothing else of it is used */
    struct engine_facts facts;
    struct fake_container containers[16];
    struct fake_failure failures[8];
    struct fake_failure after_ensure; /* ordered as soon as a container has been made */
    bool image;                       /* whether it is there */
    unsigned pull_percent, pulled; /* how far a pull comes before the test lets it go on, at 100; how many there were */
    int stop_fd;
    unsigned status;   /* of new containers' answers */
    bool mute;         /* new containers listen nowhere */
    const char *words; /* what they say; NULL: «last words» */
    struct buffer log; /* "ensure u1\nend u1 0\nremove u1 3\n" … */
};

void fake_init(struct fake *f, const struct config *c, const char *places);
void fake_end(struct fake *f);
void fake_fail(struct fake *f, const char *op, enum reason reason, const char *message, unsigned times);
void fake_available(struct fake *f, bool up);
/* The event of the engine. */
void fake_event(struct fake *f, const char *device);
/* With the lock held. */
struct fake_container *fake_find(struct fake *f, const char *id);
struct fake_container *fake_add(struct fake *f, const char *id, const char *device);
unsigned fake_count(struct fake *f, const char *line);
bool fake_heard(struct fake *f, const char *text); /* somewhere in what was called */
bool fake_has(struct fake *f, const char *id);
