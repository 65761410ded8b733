#pragma once

#include "kinds/device.h"
#include "server/hooks/context.h"

/* What the server itself says in a device's status, and the original's output fields in its spec, which follow. */

/* The output fields, from the status. A device that is being deleted shows no address. */
void device_write_outputs(struct admission *a, bool deleting);
void device_say(struct admission *a, enum phase phase, const char *reason, const char *message);
/* It has what it needs: the runner is next. */
void device_say_queued(struct admission *a);
/* The deletion has been asked for: Stopping, not ready, no address. */
void device_say_stopping(struct admission *a);
/* Of a device that is being deleted: what else the runner says (its answer may have been on the way) is not taken. */
void device_keep_stopping(struct admission *a);

/* The runner does not answer: devices on their way to Running stand still, and say so. A store_fn. */
int device_runner_absent(struct store_txn *t, void *arg, struct error **err);
