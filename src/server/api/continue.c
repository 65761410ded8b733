#include "server/api/continue.h"

#include "base/alloc.h"
#include "base/encoding.h"

/* The 1 is this form's version: a token of another program version is refused and the client lists anew. */
char *continue_encode(uint64_t revision, const char *after)
{
    _cleanup_free_ char *text = xasprintf("1:%llu:%s", (unsigned long long)revision, after);
    return base64url_encode(text, strlen(text));
}

int continue_decode(const char *token, uint64_t *revision, char **after, struct error **err)
{
    size_t n = 0;
    unsigned long long number;
    struct str version, digits;
    _cleanup_free_ char *text = base64_decode(str_from(token), &n);
    struct str rest = {text, n};

    if (text == NULL || memchr(text, '\0', n) || !str_split(&rest, ':', &version) || !str_is(version, "1") ||
        !str_split(&rest, ':', &digits) || str_to_u64(digits, UINT64_MAX, &number) < 0 || rest.p == NULL)
        return error_set(err, REASON_BAD_REQUEST, "continue key is not valid");
    *revision = number;
    *after = xstrndup(rest.p, rest.n);
    return 0;
}
