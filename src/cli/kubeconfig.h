#pragma once

#include "cli/layout.h"

/* Writes DATA/kubeconfig where there is none, or where it names another address than today's. */
int kubeconfig_ensure(const struct config *c, const struct layout *l, struct error **err) _must_check_;
