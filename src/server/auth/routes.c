#include "server/auth/routes.h"

#include "server/auth/calls.h"
#include "server/auth/reply.h"

static const struct {
    const char *path;
    enum http_method method;
    const char *allow;
    auth_call_fn *call;
} auth_calls[] = {
    {"/auth/session", HTTP_GET, "GET, HEAD", auth_call_session}, {"/auth/login", HTTP_POST, "POST", auth_call_login},
    {"/auth/logout", HTTP_POST, "POST", auth_call_logout},       {"/auth/setup", HTTP_POST, "POST", auth_call_setup},
    {"/auth/password", HTTP_POST, "POST", auth_call_password},
};

bool auth_owns(struct str path)
{
    return str_is(path, "/auth") || (path.n > 6 && memcmp(path.p, "/auth/", 6) == 0) || str_is(path, "/auth/");
}

static int find_call(struct http_exchange *x, size_t *at, struct error **err)
{
    enum http_method method = http_method(x) == HTTP_HEAD ? HTTP_GET : http_method(x);

    for (size_t i = 0; i < ARRAY_SIZE(auth_calls) && http_role(x) == HTTP_GATEWAY; i++) {
        if (!str_is(http_path(x), auth_calls[i].path))
            continue;
        *at = i;
        if (method == auth_calls[i].method)
            return 0;
        http_add_header(x, "Allow", auth_calls[i].allow);
        return error_set(err, REASON_METHOD_NOT_ALLOWED,
                         "the server does not allow this method on the requested resource");
    }
    return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
}

void auth_handle(struct auth *a, struct http_exchange *x)
{
    struct error *err = NULL;
    size_t i = 0;

    if (find_call(x, &i, &err) < 0 || identity_check_origin(a->identifier, x, &err) < 0)
        return auth_reply_error(x, err);
    auth_calls[i].call(a, x);
}
