#pragma once

#include "server/store/store.h"

/* What every stored object says of itself has to be what its row says; for store_options.check. */
int stored_check(const struct object *o, struct error **err) _must_check_;
