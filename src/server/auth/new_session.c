#include "server/auth/new_session.h"

#include "base/clock.h"
#include "server/accounts/password.h"
#include "server/auth/reply.h"

static void make_session(struct auth_call *c, const struct account *account, const char *id)
{
    const struct session_options options = {
        .id = id,
        .user_uid = account->uid,
        .user_name = account->name,
        .bearer = c->bearer,
        .well_known_password = streq(c->new_password ? c->new_password : c->password, WELL_KNOWN_PASSWORD),
        .now_us = clock_realtime_us(),
        .seconds = c->auth->accounts->config->session_seconds,
    };
    c->session = session_new(&options, &c->token, &c->key);
}

void auth_put_session(struct auth_call *c, struct store_txn *t, const struct account *account, const char *id)
{
    make_session(c, account, id);
    sessions_put(c->auth->accounts->sessions, t, c->session);
    attempt_prepare_familiar(t);
}

int auth_wrong_login(struct error **err)
{
    return error_set(err, REASON_UNAUTHORIZED, "the user name or the password is wrong");
}

int auth_check_unchanged(struct store_txn *t, const struct auth_call *c, struct arena *arena, struct account *out,
                         struct error **err)
{
    if (!account_find_in_txn(t, c->user, arena, out))
        return auth_wrong_login(err);
    struct str hash = txn_secret(t, SECRET_PASSWORD, str_from(out->uid));
    return str_equal(hash, str_from(c->hash)) ? 0 : auth_wrong_login(err);
}

void auth_reply_new_session(struct auth_call *c, unsigned status)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (account_find(c->auth->accounts->store, c->user, arena, &account)) {
        const struct familiar_account familiar = {account.uid, c->new_hash ? c->new_hash : c->hash};
        const struct session_view v = {&account, c->session, c->bearer ? NULL : &familiar, c->token, c->key};
        auth_reply_session(c->auth, c->x, status, &v);
    } else {
        auth_reply_session(c->auth, c->x, 200, NULL); /* deleted a moment ago */
    }
    auth_call_free(c);
}
