#pragma once

#include <stdbool.h>

#include "base/str.h"

/* What a request's headers claim, taken apart and not yet believed. */
struct login {
    char *user, *password; /* the caller frees with login_free, which wipes them */
};
void login_clear(struct login *l);
#define _cleanup_login_ _cleanup_(login_clear)

/* `Authorization: Bearer TOKEN` (RFC 6750 §2.1). False: absent, or of another scheme (a proxy's Basic is none of ours).
 */
bool credentials_bearer(const char *header, struct str *token);

/* The original's `Open-Hydra-Auth: Bearer base64(user:password)`. The first colon splits, so that a password may hold
 * some; name and password as names.h reads them. Returns 0, or -1 where the header is there but none of that form. */
int credentials_login(const char *header, struct login *out);
