#pragma once

#include "runner/environment/environment.h"

/* From nothing to a started container. */
void environment_start(struct environments *es, struct environment *e, const struct device *d, yyjson_val *object);
/* Whether it answers by now. */
void environment_await(struct environments *es, struct environment *e, yyjson_val *object);
void environment_running(struct environments *es, struct environment *e, yyjson_val *object);
