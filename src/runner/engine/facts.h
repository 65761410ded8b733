#pragma once

#include "runner/engine/calls.h"

/* What it is and can, and whether that will do: an engine that comes back may have been set up anew. */
int engine_read_facts(struct engine *e, struct transport *t, struct error **err) _must_check_;
/* ServiceUnavailable while there is none. */
int engine_get_facts(struct engine *e, struct engine_facts *out, struct error **err) _must_check_;
/* The operation of runtime.h. */
void engine_about(struct runtime *r, struct arena *a, struct runtime_about *out);
int engine_check_side(const struct engine *e, bool libpod, const struct engine_facts *f, struct error **err)
    _must_check_;
