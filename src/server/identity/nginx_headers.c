#include "server/identity/nginx_headers.h"

bool nginx_says_api_listener(const struct http_exchange *x)
{
    return streq(http_header(x, "X-Open-Hydra-Listener"), "api");
}

const char *nginx_says_certificate(const struct http_exchange *x)
{
    const char *state = nginx_says_api_listener(x) ? http_header(x, "X-Client-Verify") : NULL;

    return state && *state && !streq(state, "NONE") ? state : NULL;
}

const char *nginx_says_address(const struct http_exchange *x)
{
    const char *address = http_role(x) == HTTP_GATEWAY ? http_header(x, "X-Real-IP") : NULL;

    return address ? address : "";
}
