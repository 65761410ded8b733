#pragma once

/* Who goes through a home asks this before each entry: it may take its time, and says by negative answers, from
 * then on, that it is enough. */
struct pace {
    int (*step)(void *arg);
    void *arg;
};

static inline int pace_step(const struct pace *p)
{
    return p && p->step ? p->step(p->arg) : 0;
}
