#pragma once

#include "server/api/write.h"

/* Whether the object to be is as small as its kind asks (kind.h): a.object, whose JSON has w->json_len bytes. One that
 * was larger before may stay so, and shrink: or nobody could mend it. 413 names the largest field. */
int size_check(struct write *w, struct error **err) _must_check_;
