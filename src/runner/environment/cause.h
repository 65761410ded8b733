#pragma once

#include "base/str.h"

/* Why a start failed, as its last words show: what a person can do something about, rather than an exit code. */
struct cause {
    const char *reason, *message; /* for the status */
};

/* NULL: they show nothing that is known. */
const struct cause *cause_in(struct str words);
