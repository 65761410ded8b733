#pragma once

#include "runner/environment/environment.h"

/* Its device is being deleted: ends it, takes our finalizer off. */
void environment_stop(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object);
/* Its device is gone without having waited for us: its finalizer was taken off by somebody else. `e` is forgotten. */
void environment_vanish(struct environments *es, struct environment *e);
