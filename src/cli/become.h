#pragma once

#include <sys/types.h>

#include "base/error.h"

/* For good: groups, gid, uid, no new privileges, no capability, and none to be had by any program either. What is to
 * end with its parent still does. Where id is our own, all of that but the change of user. */
int become(uid_t id, struct error **err) _must_check_;
