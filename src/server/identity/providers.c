#include "server/identity/provider.h"

const struct provider *const providers[] = {
    &provider_certificate,
    /* Before all that could be wrong: the original, without authentication, looks at no header either. */
    &provider_unasked,
    &provider_token,
    &provider_cookie,
    &provider_password,
    NULL,
};
_Static_assert(ARRAY_SIZE(providers) <= PROVIDERS_MAX + 1, "identity.c has room for each");
