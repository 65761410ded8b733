/* POST /auth/password: somebody changes the own one. */
#include "base/alloc.h"
#include "base/clock.h"
#include "server/accounts/password.h"
#include "server/auth/body.h"
#include "server/auth/calls.h"
#include "server/auth/new_session.h"
#include "server/auth/reply.h"

static int store_password(struct store_txn *t, void *arg, struct error **err)
{
    struct auth_call *c = arg;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (auth_check_unchanged(t, c, arena, &account, err) < 0)
        return -1;
    txn_secret_put(t, SECRET_PASSWORD, str_from(account.uid), str_from(c->new_hash));
    /* The caller's own session goes on under its id (open environments stay open), with new secrets. */
    sessions_end(c->auth->accounts->sessions, t, account.uid, c->session_id);
    auth_put_session(c, t, &account, c->session_id);
    return 0;
}

static void do_password(void *arg)
{
    struct auth_call *c = arg;
    struct auth *a = c->auth;
    struct error *err = NULL;

    if (!accounts_verify_password(a->accounts, c->user, c->password, &c->hash)) {
        error_set(&err, REASON_UNAUTHORIZED, "the current password is wrong");
        return auth_call_fail(c, err);
    }
    attempt_succeeded(a->accounts, &c->attempt);
    c->new_hash = password_hash(c->new_password);
    if (store_run(a->accounts->store, store_password, c, &err) < 0)
        return auth_call_fail(c, err);
    auth_reply_new_session(c, 200);
}

static int read_passwords_body(struct auth_call *c, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = auth_body_read(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct body_string wanted[] = {
        {.name = "currentPassword", .place = &c->password},
        {.name = "newPassword", .place = &c->new_password},
        {0},
    };

    if (doc == NULL)
        return -1;
    int result = auth_body_strings(body, wanted, err);
    auth_body_wipe(body);
    auth_body_trim_password(&c->password);
    auth_body_trim_password(&c->new_password);
    if (result < 0 || password_check(c->new_password, "newPassword", err) < 0)
        return -1;
    if (streq(c->password, c->new_password))
        return error_add_cause(err, "newPassword", "FieldValueInvalid", "is the current one");
    return 0;
}

/* Whether the session that asks is a script's; without one (a password header) the new one is a script's too. */
static bool is_bearer(struct auth *a, const struct identity *who)
{
    _cleanup_session_ struct session *s = sessions_by_id(a->accounts->sessions, who->session, clock_realtime_us());
    return s == NULL || !s->has_key;
}

static int check_has_password(const struct auth *a, const struct identity *who, struct error **err)
{
    if (who->role == ROLE_NONE)
        return error_set(err, REASON_UNAUTHORIZED, "log in first");
    if (who->uid == NULL || a->accounts->config->disable_auth)
        return error_set(err, REASON_FORBIDDEN, "\"%s\" has no password here to change", who->name);
    return 0;
}

static void change_password(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;

    if (err || check_has_password(a, who, &err) < 0)
        return auth_reply_error(x, err);
    struct auth_call *c = auth_call_new(a, x);
    c->user = xstrdup(who->name);
    c->session_id = who->session ? xstrdup(who->session) : NULL;
    c->bearer = is_bearer(a, who);
    if (read_passwords_body(c, &err) < 0)
        return auth_call_fail(c, err);
    /* Who is logged in is no stranger, whatever strangers try. */
    auth_call_start_attempt(c, c->session_id, do_password);
}

void auth_call_password(struct auth *a, struct http_exchange *x)
{
    identity_find(a->identifier, x, change_password, a);
}
