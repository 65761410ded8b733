#pragma once

#include <stdbool.h>

/* What the driver says of a GPU by a number («Xid»). NULL: nothing for which it has to be taken out; else what it is,
 * for people. */
const char *xid_needs_reset(unsigned long long xid);
