#pragma once

#include "runner/runtime/runtime.h"

/* The operation of runtime.h. */
int engine_run_inside(struct runtime *r, const char *instance, const struct runtime_program *p, struct buffer *out,
                      struct error **err);
