#pragma once

#include <stdatomic.h>

#include "base/clock.h"
#include "config/config.h"
#include "server/gateway/endpoints.h"
#include "server/gateway/pass.h"
#include "server/gateway/peers.h"
#include "server/gateway/port_index.h"
#include "server/gateway/rules.h"
#include "server/gateway/ticket.h"
#include "server/gateway/waiting.h"
#include "server/identity/identity.h"
#include "server/store/store.h"

/* What those share who answer for the gateway. Set once; each part has locks of its own. Their order: of waiting.h, then
 * of endpoints.h. */
struct gateway {
    const struct config *config;
    struct store *store;
    struct identifier *identifier;
    struct gateway_site site;
    struct pass_keys keys;
    _Atomic int64_t clock_offset_us; /* of tests */
    struct peers *peers;
    struct port_index *ports;
    struct tickets *tickets;
    struct endpoints *endpoints;
    struct waiting_room *waiting;
};

/* Real time, in microseconds; what the tests' stand moves. */
static inline int64_t gateway_now(const struct gateway *g)
{
    return clock_realtime_us() + atomic_load_explicit(&g->clock_offset_us, memory_order_relaxed);
}
