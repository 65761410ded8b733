#pragma once

#include "runner/environment/environment.h"

/* It ended by itself, as the engine says (`i`), or as was found out (`what`): it is started again, or has failed. */
void environment_ended(struct environments *es, struct environment *e, const struct instance *i, const char *what);
/* Whether it may be started once more, and that it is. */
bool environment_may_restart(struct environment *e, int64_t now_us);
void environment_count_restart(struct environment *e, int64_t now_us);
