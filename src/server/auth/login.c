/* POST /auth/login: a session for a name and its password. */
#include <stdlib.h>

#include "base/log.h"
#include "server/accounts/names.h"
#include "server/auth/body.h"
#include "server/auth/calls.h"
#include "server/auth/new_session.h"

static int store_login(struct store_txn *t, void *arg, struct error **err)
{
    struct auth_call *c = arg;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (auth_check_unchanged(t, c, arena, &account, err) < 0)
        return -1;
    auth_put_session(c, t, &account, NULL);
    return 0;
}

/* Names of users alone: what is no user's name may be a password in the wrong field. */
static void log_failure(const struct auth_call *c)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (account_find(c->auth->accounts->store, c->user, arena, &account))
        log_info("login of %s from %s failed", account.name, c->attempt.address);
    else
        log_info("login of an unknown user from %s failed", c->attempt.address);
}

static void do_login(void *arg)
{
    struct auth_call *c = arg;
    struct auth *a = c->auth;
    struct error *err = NULL;

    if (!accounts_verify_password(a->accounts, c->user, c->password, &c->hash)) {
        log_failure(c);
        auth_wrong_login(&err);
        return auth_call_fail(c, err);
    }
    attempt_succeeded(a->accounts, &c->attempt);
    if (store_run(a->accounts->store, store_login, c, &err) < 0)
        return auth_call_fail(c, err);
    if (c->session->well_known_password)
        log_warning("\"%s\" has logged in with the well-known password", c->user);
    auth_reply_new_session(c, 200);
}

/* Takes the text. */
static char *name_from(char *typed)
{
    char *name = login_name(typed);
    free(typed);
    return name;
}

static int read_login_body(struct auth_call *c, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = auth_body_read(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct body_string wanted[] = {
        {.name = "username", .place = &c->user},
        {.name = "password", .place = &c->password},
        {0},
    };

    if (doc == NULL)
        return -1;
    int result = auth_body_strings(body, wanted, err);
    c->bearer = json_bool_at(body, "bearer", false);
    auth_body_wipe(body);
    auth_body_trim_password(&c->password);
    if (result == 0)
        c->user = name_from(c->user);
    return result;
}

void auth_call_login(struct auth *a, struct http_exchange *x)
{
    struct auth_call *c = auth_call_new(a, x);
    struct error *err = NULL;

    if (read_login_body(c, &err) < 0)
        return auth_call_fail(c, err);
    auth_call_start_attempt(c, NULL, do_login);
}
