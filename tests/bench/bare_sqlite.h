#pragma once

#include <stdint.h>

#include "base/str.h"

/* What the disk and SQLite give by themselves: the rows that the store writes for a create (same tables, same pragmas),
 * in a loop, `per_transaction` creates in each. Creates a second, in a new directory below `parent` that is removed. */
double bare_sqlite_creates(const char *parent, int64_t run_us, int per_transaction, struct str json);
