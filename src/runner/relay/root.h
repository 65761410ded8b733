#pragma once

#include "base/error.h"

/*
 * All that a relay sees of this machine's files: what a program needs to be loaded, read-only. No /proc, no /run, no
 * /etc, no device. It is one folder for all relays, and they are changed to it as their root: without capabilities
 * there is no way out, and no user namespace is given to who is in there.
 */
/* Makes it anew: the descriptor of its top. */
int relay_root_make(const char *path, struct error **err) _must_check_;
/* Those that are in there keep it. */
void relay_root_remove(const char *path);
