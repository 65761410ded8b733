#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Secret scope: user uid → hash. */
#define SECRET_PASSWORD "password"
/* What a password may be at all; longer ones are refused before they are hashed. */
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024
/* Of deploy/user-admin.yaml: accepted, and the session says so. */
#define WELL_KNOWN_PASSWORD "openhydra"

/* On worker threads: each takes 64 MiB and a tenth of a second. The hash is libsodium's string form. */
char *password_hash(const char *password); /* the caller frees; wiped copies */
/* Without a hash (unknown user, user without a password): takes the same time, and says no. */
bool password_verify(const char *hash, const char *password);
/* One rule for all passwords: at least 8 characters, at most 1,024 bytes, no control characters. What somebody chooses
 * for himself (set-up, /auth/password) is not the well-known one either; an administrator may give it, as the seed
 * does: it is asked to be changed at the login. Adds a cause for `field` otherwise. */
int password_check(const char *password, const char *field, struct error **err) _must_check_;
int password_check_given(const char *password, const char *field, struct error **err) _must_check_;
