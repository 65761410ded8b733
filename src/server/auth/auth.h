#pragma once

#include "http/http.h"
#include "server/accounts/accounts.h"
#include "server/api/api.h"
#include "server/identity/identity.h"

/* /auth/…: the calls about the session itself (docs/dashboard-api.md), one file each. */
struct auth {
    struct accounts *accounts;
    struct identifier *identifier;
    struct api *api;
    const struct kind *user_kind; /* the very one of the users that the API was given */
};
