#pragma once

#include "server/hooks/context.h"

/*
 * What the server gives away and there is not enough of for everybody: one row of resource.c each. A device needs some
 * number of units of every resource (most need one of each); allocation.h gives them. A unit is a text, whose meaning the
 * row and its stock know. Kept as secrets of the store:
 *
 *     NAME       holder → its units, joined by blanks
 *
 * and what the stock (below) keeps beside it.
 */
enum resource_holder {
    HOLDER_USER,   /* has it from its first device on, until the user is deleted */
    HOLDER_DEVICE, /* until the device is gone */
};

struct resource_range {
    uint64_t first, last;
};

struct allotment;
struct claim;
struct stock;
struct resource {
    const char *name;
    enum resource_holder holder;
    const struct stock *stock;
    /* Of stocks of numbers. */
    struct resource_range (*range)(const struct config *c);
    bool (*is_withheld)(const struct hook_context *context, uint64_t unit); /* of the range; NULL: none is */
    const char *freed; /* secret scope of a stock that remembers what was free since when */

    unsigned (*needed)(const struct admission *a, struct store_txn *t); /* how many; NULL: one */
    const char *(*what)(const struct admission *a); /* of which it is, for status.queue.waitingFor; NULL: the name */
    /* Into the device's status; n == 0: it has none, or none yet. */
    void (*write)(struct allotment *al, struct admission *a, const char *const *units, size_t n);
    /* Where there are not enough: what a device says that waits (in the arena) … */
    const char *reason;
    const char *(*message)(const struct claim *c, struct arena *arena);
    /* … or, where these are NULL, why it is refused. */
    int (*refuse)(const struct config *c, struct error **err);
};

#define UNITS_MAX 255 /* that a device may need of one resource */

/*
 * Where the units of a resource come from: which there are, which of them are free, and which of those is given first.
 *
 *   stock_counted   numbers that are never given twice: what was given stays its holder's beyond that one's end.
 *                   Scope "counter", NAME → the next
 *   stock_numbers   numbers of a range. One that was never given comes first, then the one that has been free longest.
 *                   Scope resource.freed, number → when it was given back (µs; 0: it is held)
 *   stock_gpus      shares of the GPUs that Hosts report: a unit is the id of a GPU, and of each there are as many as its
 *                   `units`. The units of one device lie on different GPUs where they can, and of those the least used
 *                   come first. What is given is counted from what holders have, so that nothing else has to agree with it
 */

/* The transaction, and the write in which it happens: the object of that write counts as it is to be, not as the store
 * has it. */
struct allotment {
    struct store_txn *t;
    struct hook_context *context;
    struct arena *arena;
    struct admission *current; /* of a device or host; NULL: none */
    bool current_goes;         /* it is being removed */
};

/* What one device needs of one resource, and what can be had. */
struct claim {
    const struct resource *resource;
    const char *holder, *what;
    size_t wanted;
    const char **units; /* room for UNITS_MAX; `found` of them: what the holder has, then what is free */
    size_t found, held;
    size_t total;    /* there are, free or not */
    bool is_counted; /* `holders` too: */
    size_t holders;  /* others that have some */
};

struct stock {
    void (*find)(struct allotment *al, struct claim *c);
    /* All that was found, which is what was wanted: the holder's now. */
    void (*hold)(struct allotment *al, const struct claim *c);
    /* Whether there was one to be had back. */
    bool (*release)(struct allotment *al, const struct resource *r, const char *holder);
};
extern const struct stock stock_counted, stock_numbers, stock_gpus;

/* --- What holders have --- */

/* Returns how many, at most `max`; in the arena. */
size_t units_of_holder(struct allotment *al, const struct resource *r, const char *holder, const char **out,
                       size_t max);
void units_put(struct allotment *al, const struct resource *r, const char *holder, const char *const *units, size_t n);
