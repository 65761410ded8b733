#pragma once

#include "server/hooks/context.h"

/*
 * A user's own quota (spec.homeQuota). The runner knows no users: it reads it from the user's device, into which it goes
 * when that is made, and when the user is changed.
 */
/* Of a user that is written. */
int home_quota_check(struct admission *a, struct error **err) _must_check_;
void home_quota_changed(struct admission *a, struct store_txn *t);
/* Of a device that is made; `quota` as the owner's specification says it, or NULL. */
void home_quota_write(yyjson_mut_doc *doc, yyjson_mut_val *device, const char *quota);
