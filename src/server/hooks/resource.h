#pragma once

#include "server/hooks/stock.h"

/* What the server gives away, a row each (struct resource). */
extern const struct resource limited_resources[];
#define RESOURCES_MAX 8 /* of `limited_resources` */
extern const size_t limited_resources_len;

#define HOST_IDS "host-id"
/* Secret scope: a name → the range of the first who had it and is gone. Homes from before homes had a mark of whose they
 * are are told by it. */
#define FORMER_HOST_IDS "former-host-id"
