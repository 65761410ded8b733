#pragma once

#include "server/hooks/context.h"

/*
 * What a user has for itself: a range of host ids and a port of the environments' range, both given when its first
 * device is created, in that transaction. Kept as secrets of the store, by the user's name: "host-id"  name → number of
 * the range (kept beyond the user's deletion: its files bear these ids) "port"     name → port (free again once the
 * user is deleted)
 */

/* The first id of the user's range. Fails where all ranges are given (Invalid, on spec.openHydraUsername). */
int allocate_host_ids(struct store_txn *t, const struct config *c, const char *user, uint32_t *first,
                      struct error **err) _must_check_;
bool has_host_ids(struct store_txn *t, const char *user);

/* The user's port, or 0 where none is left. One never given comes first, then the one that has been free longest. */
uint16_t allocate_port(struct store_txn *t, const struct hook_context *context, const char *user);
void release_port(struct store_txn *t, const char *user);
