#pragma once

#include "server/api/authorize.h"

/* The table of roles: what somebody may do. */
enum verdict roles_authorize(const struct identity *who, const struct attributes *what);
/* Those who have a share of everything kept for them (server/api/flow.h). */
bool roles_reserved(const struct identity *who);
