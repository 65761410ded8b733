#pragma once

#include "server/hooks/context.h"

/* The end of a user. */

/* Drops what is kept beside the object, which goes now: password, sessions, what it was given. */
void user_forget(struct store_txn *t, struct hook_context *context, const char *name, const char *uid);
/* The user's environment has gone: a user that is being deleted waits for it no longer, and goes where nobody else's
 * finalizer holds it. */
void user_environment_gone(struct store_txn *t, struct hook_context *context, const char *name);
