#pragma once

#include "runner/engine/container.h"

/* Gives a container that was not started its network, with the rules of network.h, before anything runs in it. */
int engine_network_prepare(struct engine *e, struct arena *a, const char *instance, struct error **err) _must_check_;
/* Makes a running one's rules anew where this machine has other addresses by now, or a runner before this one made
 * them. */
void engine_network_refresh(struct engine *e, const char *instance, yyjson_val *container);
void engine_network_forget(struct engine *e, const char *instance);
