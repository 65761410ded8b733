#pragma once

#include "server/hooks/context.h"

/* The end of a device, and what it leaves to others. */

/* Secret scope: a user's name → the name of its one device. */
#define DEVICE_OF_USER "device-of-user"

/* Asks for the deletion of a user's device, as DELETE does. False: it has gone at once, or there is none. */
bool device_ask_deletion(struct store_txn *t, struct hook_context *context, const char *name);
/* The hook: no finalizer is left. What it had goes to those who wait, and its user may go. */
int device_removed(struct admission *a, struct store_txn *t, struct error **err);
