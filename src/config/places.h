#pragma once

#include "config/config.h"

/* The folders that the configuration names: none that environments get may be ours or the system's. */
int places_check(const struct config *c, struct error **err) _must_check_;
