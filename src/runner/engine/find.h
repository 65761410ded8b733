#pragma once

#include "runner/engine/calls.h"

/* Finds an engine that answers, starting one as a last resort; sets transport and facts. */
int engine_connect(struct engine *e, struct error **err) _must_check_;
