#pragma once

#include "base/error.h"
#include "unpack/budget.h"
#include "unpack/names.h"

/* One archive into one folder. `names` is open. An error names the archive's entry, and the archive. */
int job_run(int archive, const char *name, int folder, const struct names *names, struct budget *budget,
            struct error **err) _must_check_;
