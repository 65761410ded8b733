#pragma once

#include "runner/engine/calls.h"

/* What the homes of an owner take on this machine. They lie in a folder for each sandbox; the quota is of all of them. */

/* Whether homes of the owner's are not in the quota yet. To take them in may last: no lock is to be held meanwhile. */
bool engine_storage_is_new(struct engine *e, const struct engine_facts *f, const struct runtime_spec *s);
/* Before a start, while nothing of the owner's runs: where the file system can enforce the quota, it does from now on.
 * 1: not yet, as the homes hold so much; `progress` of the spec says so, and it is gone on with at the next try. */
int engine_storage_prepare(struct engine *e, const struct engine_facts *f, struct runtime_spec *s) _must_check_;
/* The operation of runtime.h. */
int engine_storage(struct runtime *r, const struct runtime_owner *o, int (*step)(void *arg), void *arg,
                   struct runtime_storage *out, struct error **err);
