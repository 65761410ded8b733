#pragma once

#include <stdint.h>

#include "base/error.h"

/*
 * Runs `work` in a process of its own and waits for it: of what it reads (private keys) nothing stays in memory that a
 * child started later would inherit, freed or not. Returns what it returned, with its error's reason and message.
 */
int apart(int (*work)(void *arg, struct error **err), void *arg, struct error **err) _must_check_;
/* `apart` gives it half a minute: what has become another user may be stopped by that user. */
int apart_within(int64_t within_us, int (*work)(void *arg, struct error **err), void *arg, struct error **err)
    _must_check_;
