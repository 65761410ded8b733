#pragma once

#include "server/auth/auth.h"

/* One of the table in routes.c. On the event thread; answers or defers. */
typedef void auth_call_fn(struct auth *a, struct http_exchange *x);
auth_call_fn auth_call_session, auth_call_login, auth_call_logout, auth_call_setup, auth_call_password;
