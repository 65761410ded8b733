#pragma once

#include "server/auth/auth.h"

bool auth_owns(struct str path);
void auth_handle(struct auth *a, struct http_exchange *x);
