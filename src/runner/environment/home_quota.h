#pragma once

#include "runner/environment/environment.h"
#include "runner/environment/home_use.h"

/* The quota of an owner's homes, as an environment meets it (what they take: storage.h). */

/* Bytes; 0: none. The server's word holds within the configuration's. */
uint64_t device_home_quota(const struct config *c, const struct device *d);
/* With each look at a device that is not being deleted: its owner's homes are looked at. */
void environment_follow_homes(struct environments *es, const struct environment *e, const struct device *d,
                              yyjson_val *object);
#define HOME_OVER_QUOTA "HomeOverQuota"
/* False: what the homes take is far above the quota. It is Failed, and starts by itself when that is not so any more. */
bool environment_homes_allow(struct environments *es, struct environment *e, const struct device *d);

/* Whether anything is known that a condition could say, and what; `message` lives in the arena. */
struct home_condition {
    bool has_room;
    const char *reason, *message;
};
bool environment_home_condition(struct environments *es, struct arena *a, const struct environment *e,
                                struct home_condition *out);
/* NULL: nothing is known, and what an earlier runner wrote stays. */
yyjson_mut_val *environment_storage_status(struct environments *es, const struct environment *e, yyjson_mut_doc *doc);
