#pragma once

#include "server/hooks/context.h"

/*
 * The devices that wait for something of which there is not enough, in order of their priority and of their arrival.
 * Kept in the store, and said in each device's status.queue: {position, waitingFor, since, wanted}. A position is one
 * among those who wait for the same.
 *
 * A list that gets shorter moves all that stand behind. So that hundreds who wait do not become hundreds of events each
 * time, the first WAITING_EXACT positions are said as they are, and one further behind only once it is an eighth better
 * than was said: a device is never further behind than it says, and one that begins at position 500 is written about
 * forty times.
 */
#define WAITING_EXACT 16

struct waiting_device {
    const char *device, *what; /* its name; "port", "nvidia.com/gpu" */
    uint64_t wanted;
    int64_t priority, since_us;
    uint64_t said;   /* its position as the status says it; 0: that is to be written */
    uint64_t beyond; /* 1: it wants more than there are, and holds nobody up */
    bool left;       /* it waits no longer: set by whoever read the list */
};
struct waiting_list {
    struct waiting_device *first;
    size_t n;
    struct admission *current; /* of a device that is being written: said there; NULL: none */
};
/* In order; in the arena. */
void waiting_list_read(struct store_txn *t, struct arena *arena, struct waiting_list *out);
bool waiting_list_has(struct store_txn *t, const char *device);
/* After priorities have changed. */
void waiting_list_sort(struct waiting_list *list);
/* Takes off those that have left, and says the others' positions. */
void waiting_list_write(struct store_txn *t, struct arena *arena, const struct waiting_list *list);

/* The device of `a`, which is not in the store yet, with the `what`, `wanted`, `priority` and `beyond` of `w`; into its
 * status too. */
void waiting_list_join(struct admission *a, struct store_txn *t, struct waiting_device *w);
/* Whether somebody waits for the same who is no less urgent, and would get it. */
bool waiting_list_has_before(struct store_txn *t, const char *what, int64_t priority);
