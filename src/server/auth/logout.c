/* POST /auth/logout: the session ends. */
#include "base/clock.h"
#include "server/auth/call.h"
#include "server/auth/calls.h"
#include "server/auth/reply.h"

static int store_logout(struct store_txn *t, void *arg, struct error **err)
{
    const struct auth_call *c = arg;
    sessions_remove(c->auth->accounts->sessions, t, c->session);
    return 0;
}

static void logged_out(void *arg, struct error *err)
{
    struct auth_call *c = arg;

    if (err)
        return auth_call_fail(c, err);
    auth_reply_logged_out(c->auth, c->x);
    auth_call_free(c);
}

static void end_session(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;

    error_free(err); /* the session is gone already */
    struct session *s = who ? sessions_by_id(a->accounts->sessions, who->session, clock_realtime_us()) : NULL;
    if (s == NULL)
        return auth_reply_logged_out(a, x);
    struct auth_call *c = auth_call_new(a, x);
    c->session = s;
    store_submit(a->accounts->store, store_logout, c, logged_out);
}

void auth_call_logout(struct auth *a, struct http_exchange *x)
{
    identity_find(a->identifier, x, end_session, a);
}
