#pragma once

#include "runner/environment/environment.h"

/* What there is of it, where that is to be looked at; ended ones are ended. False: it could not be found out, and is
 * tried again later. */
bool environment_look(struct environments *es, struct environment *e);
