#pragma once

#include "server/hooks/context.h"

/* status.urls, one for each of its ports, as the configuration says how they are reached. */
void device_write_urls(struct admission *a, const uint16_t *ports, size_t n);
/* At a start, where serverIP or publicAddress may have changed: the addresses of what is there already. A store_fn. */
int device_renew_addresses(struct store_txn *t, void *context, struct error **err);
