#pragma once

#include "base/arena.h"
#include "runner/homes/mend.h"

/*
 * The threads that mend homes, one for those that a start waits for, one for those that are looked through behind it: a
 * home at a time each, after everybody else's work on the machine. They start with the first home.
 */
struct menders;
struct menders *menders_new(void);
void menders_free(struct menders *m);

struct mend_request {
    const char *path; /* tells homes apart, and people which it is */
    int parent, home; /* descriptors; copied */
    const char *user;
    struct mend_order order;
    struct home_record record; /* uid "": nobody keeps one */
};

/* Before a start, with `needed` as mend_is_needed() says. 0: nothing is (any more) to be done. 1: it is under way, and
 * `progress` (in the arena) says how far it is. Negative: it cannot be done. */
int menders_ask(struct menders *m, const struct mend_request *r, bool needed, struct arena *a, const char **progress,
                struct error **err) _must_check_;
/* Looks through all of it behind the start, and mends what it finds; not again within ten minutes. */
void menders_look(struct menders *m, const struct mend_request *r);
