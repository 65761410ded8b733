#pragma once

#include "server/hooks/context.h"

/* PUT devices/NAME/endpoint {"deviceUid","socket","token"}: from the runner alone, kept in memory alone. */
void device_endpoint(struct http_exchange *x, struct object *object, const struct identity *who, void *context_arg);
void endpoint_forget_after_commit(struct admission *a, struct store_txn *t);
