#pragma once

#include "kinds/sandbox.h"
#include "runner/environment/environment.h"

/* What an environment is made from, within what the configuration allows, whatever the device says. NULL with the reason
 * for the status. Lives in the arena, and as long as environment and device do. */
struct runtime_spec *spec_make(struct environments *es, struct arena *a, struct environment *e, const struct device *d,
                               const struct sandbox *s, const struct runtime_facts *facts, const char **reason,
                               struct error **err);
uint64_t device_memory_mib(const struct config *c, const char *said);
uint64_t device_cpu_milli(const struct config *c, const char *said);
