#pragma once

#include "runner/runtime/runtime.h"

/* What there is: the operations inspect, list and usage of runtime.h. */
int engine_look(struct runtime *r, const char *instance, struct instance *out, struct error **err);
int engine_list(struct runtime *r, struct instance **out, size_t *n, struct error **err);
int engine_usage(struct runtime *r, const char *instance, struct runtime_usage *out, struct error **err);
