#pragma once

#include "server/hooks/context.h"
#include "server/hooks/resource.h"

/*
 * Gives what the rows of resource.c name, in the transaction that creates a device. What is a user's for good (ports) is
 * given in the order of the rows, as soon as there is enough of it; what is the device's own is given all at once or not
 * at all, once the rest is there: so nobody holds one thing that comes back while waiting for another, and no two wait
 * for each other.
 *
 * Who lacks something waits (waiting_list.h). Who comes first is served first: what becomes free is kept for the first
 * who waits for it until there is enough for that one, so that who wants two of something is not passed for ever by those
 * who want one. Who wants more than there are in all keeps nothing from anybody.
 */

/* Writes the units into the new device's status, with what it does next or waits for. Fails where a resource that is
 * not waited for is used up. */
int allocation_give(struct admission *a, struct store_txn *t, struct error **err) _must_check_;
/* A holder has gone, or goes: what it had is free, a device waits no longer, and who waits is served. */
void allocation_release(struct store_txn *t, struct hook_context *context, enum resource_holder holder,
                        const char *name);
/* The device is not to be given anything any more: those behind it move up, and may be served. */
void allocation_leave(struct store_txn *t, struct hook_context *context, const char *device);
/* The device or host of `a` is to be another than it was: who waits is served in the order, and with what there is,
 * then. `goes`: it is being removed. */
void allocation_changed(struct admission *a, struct store_txn *t, bool goes);
/* Gives to those who wait, in order, what there is. Called at start, since the configuration may give more. `context` is
 * a struct hook_context (a store_fn, so that it runs as a transaction). */
int allocation_serve(struct store_txn *t, void *context, struct error **err);

/* A new user of that name gets none of the ids that the files of a former one bear. Whether there was a former one. */
bool allocation_retire_host_ids(struct store_txn *t, const char *user);
