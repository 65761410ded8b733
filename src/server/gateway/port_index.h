#pragma once

#include "base/arena.h"
#include "kinds/device.h"
#include "server/store/store.h"

/* Which device has a port: kept up with the store's log, so that a request costs a lookup and no parsing. */
struct port_index;
struct port_index *port_index_new(struct store *store, uint16_t first, uint16_t last);
void port_index_free(struct port_index *index);

struct port_device {
    const char *name, *uid, *owner, *sandbox; /* in the arena; owner, sandbox NULL: not said */
    const char *endpoint;                     /* to which that port leads; NULL: its first */
    enum phase phase;
    bool deleting;
};
/* False: no device has it. */
bool port_index_find(struct port_index *index, uint16_t port, struct arena *arena, struct port_device *out);
