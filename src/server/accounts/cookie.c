#include "server/accounts/cookie.h"

bool cookie_next(struct str *rest, const char *name, struct str *value)
{
    struct str pair;

    while (str_split(rest, ';', &pair)) {
        struct str key;
        pair = str_trim(pair);
        struct str after = pair;
        if (!str_split(&after, '=', &key) || key.n == pair.n || !str_is(key, name))
            continue;
        *value = after;
        if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
            *value = (struct str){value->p + 1, value->n - 2};
        return true;
    }
    return false;
}

void cookie_write(struct buffer *b, bool secure, const char *token, unsigned max_age)
{
    buffer_printf(b, "%s=%s; Path=/; Max-Age=%u; HttpOnly; SameSite=Strict%s", cookie_name(secure), token ? token : "",
                  token ? max_age : 0, secure ? "; Secure" : "");
}
