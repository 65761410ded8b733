#pragma once

#include "runner/environment/environment.h"

/* False: it was ended. */
bool environment_lives(struct environments *es, struct environment *e, int64_t now_us);
/* The status of one that runs. */
void environment_say_health(struct environments *es, struct environment *e);
/* Paused by nobody, and with few others that are silent as well. */
bool environment_silent_too_long(const struct environment *e, const struct pulse *p, int64_t now);
