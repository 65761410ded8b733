#pragma once

#include "server/api/request.h"

/*
 * What would hold an event thread, on which all others wait, for more than about a millisecond: bodies and lists of
 * more than some KB that are parsed. These go to workers (api_options.parsers). Everything here is in bytes, since that
 * is what parsing takes time for: a megabyte is 5 to 10 ms.
 */

/* 413 where the request has more than its kind, and who asks, may need. */
int heavy_check_body(const struct request *r, struct error **err) _must_check_;
/* Runs `verb` for the request: here and now, or later on a worker. 429 where too much waits there already. */
int heavy_run(struct request *r, void (*verb)(struct request *r), struct error **err) _must_check_;
