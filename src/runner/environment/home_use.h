#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What an owner's homes take, against the quota; and what follows of that. */
struct home_use {
    uint64_t bytes, files;
    uint64_t quota;      /* bytes; 0: none */
    bool enforced;       /* the file system lets nobody write more */
    bool partial;        /* there is more, which was not looked at */
    int64_t measured_us; /* wall clock; 0: it is not known what they take */
};

/* A quota that is measured is noticed late: it may be exceeded by a tenth before an environment is not started. One
 * that is enforced never keeps anybody from starting. */
enum home_level {
    HOME_WITHIN,      /* or not known, or there is no quota */
    HOME_NEARLY_FULL, /* nine tenths */
    HOME_OVER,
    HOME_REFUSED
};
enum home_level home_level(const struct home_use *u);
uint64_t home_refused_above(uint64_t quota);
/* Whether a status that says `said` is to say `now`: what changes all the time does not go into the store. */
bool home_use_matters(const struct home_use *said, const struct home_use *now);
