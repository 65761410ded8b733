#pragma once

#include "config/config.h"

/* The folders that the configuration names: none that environments get may be ours or the system's. */
/* In DATA, where the configuration says nothing else. */
#define PLACE_WORKSPACE "workspace"
#define PLACE_DATASETS "public-dataset"
#define PLACE_COURSES "public-course"

int places_check(const struct config *c, struct error **err) _must_check_;
