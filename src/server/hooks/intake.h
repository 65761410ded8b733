#pragma once

#include <pthread.h>

#include "server/api/answer.h"

/* The body of a request on its way to a thread that may block: the connection fills one piece while the thread uses the
 * other. While both are full, the sender waits. */
struct intake {
    struct sink sink;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *filling, *taken;
    size_t n; /* (lock) of what is filled */
    bool begun;
    bool over;         /* (lock) the sink's last call has been made */
    bool stopped;      /* (lock) by another thread */
    bool refused;      /* (lock) no more is taken */
    struct error *cut; /* (lock) why it is not whole */
};

void intake_init(struct intake *i);
void intake_free(struct intake *i);
/* Asks for the body. */
void intake_begin(struct intake *i, struct request *r);
/* Waits for a piece, which is good until the next call. 0: there is no more. */
size_t intake_take(struct intake *i, const char **p);
/* intake_take says so from now on. From any thread. */
void intake_stop(struct intake *i);
bool intake_was_stopped(struct intake *i);
/* After the last piece: negative where the body was not whole. */
int intake_result(struct intake *i, struct error **err) _must_check_;
/* Drops what comes yet, and waits for its end: before the answer. Nothing where it never began. */
void intake_end(struct intake *i);
