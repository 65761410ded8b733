#pragma once

#include "server/hooks/context.h"

/* Secret scope: a user's name → the name of its one device. */
#define DEVICE_OF_USER "device-of-user"

/* Drops what belongs to a user that has just been removed: password, sessions, port (which goes to a device that waits
 * for one). */
void user_forget(struct store_txn *t, struct hook_context *context, const char *name, const char *uid);
