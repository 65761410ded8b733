#include "server/auth/call.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/secret.h"
#include "server/auth/reply.h"
#include "server/identity/nginx_headers.h"

struct auth_call *auth_call_new(struct auth *a, struct http_exchange *x)
{
    struct auth_call *c = xcalloc(1, sizeof(*c));
    c->auth = a;
    c->x = x;
    return c;
}

void auth_call_free(struct auth_call *c)
{
    attempt_clear(&c->attempt);
    free(c->user);
    secret_free(c->password);
    secret_free(c->new_password);
    free(c->chinese_name);
    free(c->session_id);
    free(c->hash);
    free(c->new_hash);
    session_unref(c->session);
    secret_free(c->token);
    secret_free(c->key);
    free(c);
}

void auth_call_fail(struct auth_call *c, struct error *err)
{
    auth_reply_error(c->x, err);
    auth_call_free(c);
}

void auth_call_start(struct auth_call *c, void (*work)(void *))
{
    char client[ADDRESS_MAX];
    const struct work piece = {.fn = work, .arg = c, .owner = client};

    address_client(client, str_from(nginx_says_address(c->x)));
    if (workers_submit(c->auth->accounts->workers, &piece) == 0)
        return;
    auth_reply_busy(c->x, 1);
    auth_call_free(c);
}

static void drop_call(void *arg)
{
    struct auth_call *c = arg;
    auth_reply_busy(c->x, 1);
    auth_call_free(c);
}

void auth_call_start_attempt(struct auth_call *c, const char *browser, void (*work)(void *))
{
    const struct attempt_source from = {nginx_says_address(c->x), http_header(c->x, HTTP_COOKIES)};

    attempt_init(&c->attempt, c->auth->accounts, &from, c->user);
    if (browser)
        attempt_by_browser(&c->attempt, browser);
    unsigned wait = attempt_start(c->auth->accounts, &c->attempt, work, drop_call, c);
    if (wait == 0)
        return;
    auth_reply_busy(c->x, wait);
    auth_call_free(c);
}
