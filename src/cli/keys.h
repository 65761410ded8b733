#pragma once

#include "cli/layout.h"

/* All that is made with private keys: certificates and kubeconfig, then nginx's copies and configuration. In processes
 * apart (apart.h), since the server is a child and is to know none. Returns 1 where a running nginx has to reload. */
int keys_ensure(const struct config *c, const struct layout *l, struct error **err) _must_check_;
