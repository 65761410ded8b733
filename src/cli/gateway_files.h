#pragma once

#include "cli/layout.h"

/* What nginx's user gets to read in DATA/gateway: copies, since DATA and the program's folders may be closed to it.
 * Configuration, certificates with the key that it serves with, error pages, the dashboard.
 *
 * For a process of its own (apart.h): it becomes that user. Returns 1 where a running nginx has to reload. */
int gateway_files_write(const struct config *c, const struct layout *l, struct error **err) _must_check_;
