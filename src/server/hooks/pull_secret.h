#pragma once

#include "server/hooks/context.h"

/* The password for the registry of a sandbox's images: write-only, kept among the store's secrets under the sandbox's uid,
 * told to the runner alone. When it was set is said in the status, so that the runner hears of it. */
int pull_secret_admit(struct admission *a, struct store_txn *t, struct error **err);
void pull_secret_keep_status(struct admission *a);
void pull_secret_forget(struct admission *a, struct store_txn *t);
/* GET sandboxes/NAME/pullsecret: {username, password}; 404 where there is none. */
void pull_secret_tell(struct request *r, struct object *object, void *context);
