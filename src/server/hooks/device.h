#pragma once

#include "server/hooks/context.h"

/* Ports may have become free: devices that were created without one get one, the one that waits longest first. Called
 * when a user goes, and at start, since the range may have been widened. `context` is a struct hook_context (a
 * store_fn, so that it runs as a transaction, too). */
int device_serve_waiting(struct store_txn *t, void *context, struct error **err);
