#pragma once

#include "server/hooks/context.h"

/*
 * What a device says of being ended when nobody uses it. The runner finds that out (runner/environment/idle.h), says
 * so by the condition Idle, and deletes the device as anybody would; so ports and GPUs come back by the one way there
 * is. What is left of it is a note on its owner, as long as that one has no other environment.
 */

/* Of what is created: fields that are not for everybody. */
int device_check_idle_asked(struct admission *a, struct error **err) _must_check_;
/* Of what is changed: of an own device spec.keepUntil alone, and that no further ahead than keepUntilMax. */
int device_check_idle_changed(struct admission *a, struct error **err) _must_check_;

/* What the condition Idle says, where it holds: why it is ended; else NULL. */
const char *device_idle_message(yyjson_mut_val *device);
/* In the transaction in which it goes: status.lastEnvironment of its owner. Nothing where it ended for another
 * reason. */
void device_note_ended(struct admission *a, struct store_txn *t, const char *owner);
void device_forget_ended(struct store_txn *t, const char *owner);
