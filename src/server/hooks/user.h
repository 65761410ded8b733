#pragma once

#include "server/hooks/context.h"

/* Secret scope: a user's name → the name of its one device. */
#define DEVICE_OF_USER "device-of-user"

/* The user's environment has gone: a user that is being deleted waits for it no longer, and goes where nobody else's
 * finalizer holds it. */
void user_environment_gone(struct store_txn *t, struct hook_context *context, const char *name);
