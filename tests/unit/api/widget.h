#pragma once

#include "server/api/hooks.h"

extern const char widget_yaml[];
extern const struct kind_hooks widget_hooks;
