/* GET /auth/session: who is it. */
#include "base/clock.h"
#include "server/auth/calls.h"
#include "server/auth/reply.h"

static void show_session(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;
    struct account account = {0};

    error_free(err); /* bad credentials: nobody, which is what is asked */
    if (who == NULL || who->role == ROLE_NONE)
        return auth_reply_session(a, x, 200, NULL);
    _cleanup_session_ struct session *s = sessions_by_id(a->accounts->sessions, who->session, clock_realtime_us());
    if (who->uid == NULL || !account_find(a->accounts->store, who->name, http_arena(x), &account))
        account = (struct account){.role = who->role}; /* no user: it has no environment of its own */
    const struct session_view v = {.account = &account, .session = s};
    auth_reply_session(a, x, 200, &v);
}

void auth_call_session(struct auth *a, struct http_exchange *x)
{
    identity_find(a->identifier, x, show_session, a);
}
