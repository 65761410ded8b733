#pragma once

#include "server/hooks/context.h"

/* PUT devices/NAME/endpoint, from the runner alone, kept in memory alone: where the environment listens. The list stands
 * for all that was told before; the first is where the device's address leads.
 *
 *     {"deviceUid": "…", "endpoints": [{"name": "main", "address": "unix:/…" or "http://10.0.0.7:8888", "token": "…"}]}
 *
 * Without a token none is sent to the environment. */
void device_endpoint(struct request *r, struct object *object, void *context_arg);
/* GET devices/NAME/visits, for the runner: {"lastVisit": "2026-…Z"}, or null where nobody has come since this server
 * knows where it listens (gateway.h). */
void device_visits(struct request *r, struct object *object, void *context_arg);
void endpoint_forget_after_commit(struct admission *a, struct store_txn *t);
