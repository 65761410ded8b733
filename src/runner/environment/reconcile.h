#pragma once

#include "runner/environment/environment.h"

/* The next step of the device of that name. */
void reconcile(struct environments *es, const char *name);
