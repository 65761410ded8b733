#pragma once

#include "server/hooks/context.h"

/* What the homes of all who have an environment take together, for /metrics: kept beside the store, as reading all
 * devices each time would hold an event thread. */
struct home_totals *home_totals_new(struct store *store);
void home_totals_free(struct home_totals *t);
/* As the status of the device says when this has been written; `gone`: it says nothing any more. */
void home_totals_note(struct admission *a, struct store_txn *t, bool gone);
/* The devices' part of /metrics. */
void home_totals_write(struct buffer *b, void *context);
