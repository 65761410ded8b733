#pragma once

#include "server/hooks/context.h"
#include "server/hooks/resource.h"

/*
 * Gives what the rows of resource.c name, in the transaction that creates a device: of each one unit, or none of all,
 * and then the device waits (waiting_list.h). So nobody holds one thing while waiting for the other, and no two wait for
 * each other; what its user has from before stays the user's.
 *
 * A unit never given comes first, then the one that has been free longest.
 */

/* Writes the units into the new device's status, with what it does next or waits for. Fails where a resource that is
 * not waited for is used up. */
int allocation_give(struct admission *a, struct store_txn *t, struct error **err) _must_check_;
/* A holder has gone, or goes: what it had is free, a device waits no longer, and who waits is served. */
void allocation_release(struct store_txn *t, struct hook_context *context, enum resource_holder holder,
                        const char *name);
/* Gives to those who wait, in order, what there is. Called where something became free, and at start, since the
 * configuration may give more. `context` is a struct hook_context (a store_fn, so that it runs as a transaction, too).
 */
int allocation_serve(struct store_txn *t, void *context, struct error **err);

/* Files of a user of that name are there, or may be. */
bool has_host_ids(struct store_txn *t, const char *user);
