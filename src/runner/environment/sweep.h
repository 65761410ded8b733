#pragma once

#include "runner/environment/environment.h"

/* Ends and removes what belongs to no device. */
void sweep(struct environments *es);
