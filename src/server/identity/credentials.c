#include "server/identity/credentials.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/secret.h"
#include "server/accounts/names.h"
#include "server/accounts/password.h"

/* base64 of the longest name, a colon and the longest password, with room. */
#define HEADER_MAX 4096

void login_clear(struct login *l)
{
    free(l->user);
    secret_free(l->password);
    *l = (struct login){0};
}

static bool is_scheme(struct str s, const char *lower)
{
    if (s.n != strlen(lower))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (ascii_tolower(s.p[i]) != lower[i])
            return false;
    return true;
}

bool credentials_bearer(const char *header, struct str *token)
{
    struct str rest = str_from(header), scheme;

    if (header == NULL || !str_split(&rest, ' ', &scheme) || !is_scheme(scheme, "bearer"))
        return false;
    *token = str_trim(rest);
    return true;
}

static int split_login(const char *text, size_t n, struct login *out)
{
    const char *colon = memchr(text, ':', n);

    if (colon == NULL || colon == text || memchr(text, '\0', n))
        return -1;
    size_t password_len = (size_t)(text + n - colon - 1);
    if (password_len > PASSWORD_MAX)
        return -1;
    _cleanup_free_ char *user = xstrndup(text, (size_t)(colon - text));
    _cleanup_secret_ char *password = xstrndup(colon + 1, password_len);
    out->user = login_name(user);
    out->password = login_password(password);
    if (out->user[0])
        return 0;
    login_clear(out); /* of blanks and what is not seen nothing is left */
    return -1;
}

int credentials_login(const char *header, struct login *out)
{
    struct str encoded;
    size_t n = 0;

    *out = (struct login){0};
    if (!credentials_bearer(header, &encoded) || encoded.n > HEADER_MAX)
        return -1;
    char *text = base64_decode(encoded, &n);
    if (text == NULL)
        return -1;
    int result = split_login(text, n, out);
    sodium_memzero(text, n);
    free(text);
    return result;
}
