#pragma once

#include "kinds/device.h"
#include "server/hooks/context.h"

/* Ports may have become free: devices that were created without one get one, the one that waits longest first. Called
 * when a user goes, and at start, since the range may have been widened. `context` is a struct hook_context (a
 * store_fn, so that it runs as a transaction, too). */
int device_serve_waiting(struct store_txn *t, void *context, struct error **err);
/* Asks for the deletion of a user's device, as DELETE does. False: it has gone at once, or there is none. */
bool device_ask_deletion(struct store_txn *t, struct hook_context *context, const char *name);
/* The runner does not answer: devices on their way to Running stand still, and say so. A store_fn. */
int device_runner_absent(struct store_txn *t, void *arg, struct error **err);

#define DEVICE_RUNNER_ABSENT "RunnerAbsent"
#define DEVICE_RUNNER_ABSENT_TEXT "nobody runs environments at the moment: the runner is not connected"

/* --- device_status.c: what the server itself says in a device's status, and the old output fields that follow --- */

/* spec's output fields, from the status. A device that is being deleted shows no address. */
void device_write_outputs(struct admission *a, bool deleting);
void device_say(struct admission *a, enum phase phase, const char *reason, const char *message);
/* The deletion has been asked for: Stopping, not ready, no address. */
void device_say_stopping(struct admission *a);
/* Of a device that is being deleted: what else the runner says (its answer may have been on the way) is not taken. */
void device_keep_stopping(struct admission *a);
