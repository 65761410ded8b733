#pragma once

#include "cli/layout.h"

/*
 * Whose environments have their sockets in a runtime directory: those of one state folder, which RUNTIME/data names. To
 * a start, or a `down`, with another --data and the same --runtime they would belong to nobody, and be swept while they
 * run. Refused while any are there; the lock (layout.h) says no more than that nobody runs now.
 */
int claim_check(const struct layout *l, const struct config *c, struct error **err) _must_check_;
/* That, and from now on they are ours. Under the lock. */
int claim_runtime(const struct layout *l, const struct config *c, struct error **err) _must_check_;
