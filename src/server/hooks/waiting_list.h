#pragma once

#include "server/hooks/context.h"

/*
 * The devices that wait for something of which there is not enough, in order of their arrival, whatever each waits for.
 * Kept in the store, and said in each device's status.queue: {position, waitingFor, since}.
 *
 * A list that gets shorter moves all that stand behind. So that hundreds who wait do not become hundreds of events each
 * time, the first WAITING_EXACT positions are said as they are, and one further behind only once it is an eighth better
 * than was said: a device is never further behind than it says, and one that begins at position 500 is written about
 * forty times.
 */
#define WAITING_EXACT 16

struct waiting_device {
    const char *device, *resource; /* names */
    int64_t since_us;
    uint64_t said; /* its position as the status says it; 0: that is to be written */
    bool left;     /* it waits no longer: set by whoever read the list */
};
struct waiting_list {
    struct waiting_device *first;
    size_t n;
};
/* In order; in the arena. */
void waiting_list_read(struct store_txn *t, struct arena *arena, struct waiting_list *out);
/* Takes off those that have left, and says the others' positions. */
void waiting_list_write(struct store_txn *t, const struct waiting_list *list);

/* To the end, and into the status of the device, which is not in the store yet. */
void waiting_list_join(struct admission *a, struct store_txn *t, const char *resource);
/* The device is taken off, if it is there, and those behind move up. */
void waiting_list_leave(struct store_txn *t, const char *device);
