#pragma once

#include "runner/environment/environment.h"

/* Failed; what there is of it is taken away. `settled`: for good. */
void environment_fail(struct environments *es, struct environment *e, const char *reason, const char *message,
                      bool settled);
/* A failure that may pass: says so and tries again, until the phase's deadline. */
void environment_stumble(struct environments *es, struct environment *e, const char *reason, const struct error *err);
/* The engine did not make or start it: what it finds invalid does not get better by trying again. */
void environment_not_made(struct environments *es, struct environment *e, const struct error *err);
