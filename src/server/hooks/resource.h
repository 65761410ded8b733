#pragma once

#include "server/hooks/context.h"

/*
 * What the server gives away and there is not enough of for everybody: one row each. Units are numbers, 0 is none. A
 * device needs one of every resource; allocation.h gives them. Kept as secrets of the store:
 *
 *     NAME       holder → unit
 *     UNITS      unit → when it was given back (µs; 0: it is held)
 *     "counter"  NAME → the next that was never given, where there are no UNITS
 */
enum resource_holder {
    HOLDER_USER,   /* has it from its first device on, until the user is deleted */
    HOLDER_DEVICE, /* until the device is gone */
};

struct resource_range {
    uint64_t first, last;
};

struct resource {
    const char *name; /* for status.queue.waitingFor too */
    enum resource_holder holder;
    /* NULL: what was given stays its holder's beyond that one's end, and is never anybody else's. */
    const char *units;
    struct resource_range (*range)(const struct config *c);
    bool (*is_withheld)(const struct hook_context *context, uint64_t unit); /* of the range; NULL: none is */
    void (*write)(struct admission *a, uint64_t unit);                      /* into the device's status */
    /* Where none is free: what a device says that waits for one … */
    const char *reason, *message;
    /* … or, where these are NULL, why it is refused. */
    int (*refuse)(const struct config *c, struct error **err);
};

extern const struct resource limited_resources[];
#define RESOURCES_MAX 8 /* of `limited_resources` */
extern const size_t limited_resources_len;

#define HOST_IDS "host-id"
