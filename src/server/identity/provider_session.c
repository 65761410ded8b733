/* What a login gave (server/auth): a script's token, or a browser's cookie with its key. */
#include "base/clock.h"
#include "server/accounts/cookie.h"
#include "server/identity/credentials.h"
#include "server/identity/nginx_headers.h"
#include "server/identity/provider.h"

#define COOKIES_MAX 8 /* of our name; more are a hostile page's */

static enum claim session_ended(struct error **err)
{
    error_set(err, REASON_UNAUTHORIZED, "the session has ended: log in again");
    return CLAIM_REFUSED;
}

/* A page that is only open watches, again and again: that is no use of it. */
static bool is_watch(struct http_exchange *x)
{
    const char *watch = http_method(x) == HTTP_GET ? http_query(x, "watch") : NULL;
    return watch && !streq(watch, "0") && !streq(watch, "false");
}

static enum claim identity_be_session(const struct provider_data *d, struct http_exchange *x, struct session *s,
                                      struct identity *who, struct error **err)
{
    struct account account;

    if (!account_find(d->accounts->store, s->user_name, http_arena(x), &account) || !streq(account.uid, s->user_uid))
        return session_ended(err);
    identity_be_account(who, &account);
    if (!is_watch(x))
        accounts_use_session(d->accounts, s);
    who->session = arena_strdup(http_arena(x), s->id);
    return CLAIM_GOOD;
}

/* --- Authorization: Bearer --- */

static enum claim look_token(const struct provider_data *d, struct http_exchange *x, struct identity *who,
                             struct error **err)
{
    struct str token;

    if (!credentials_bearer(http_header(x, "Authorization"), &token))
        return CLAIM_NONE;
    _cleanup_session_ struct session *s = sessions_by_token(d->accounts->sessions, token, clock_realtime_us());
    /* A cookie's token is none for scripts: it would do without the key. */
    return s && !s->has_key ? identity_be_session(d, x, s, who, err) : session_ended(err);
}

/* --- Cookie and key --- */

/* Of several cookies with our name (a page of another port can add some) the one that fits the key. */
static struct session *session_of_cookie(struct accounts *a, const struct http_exchange *x, const char *key)
{
    struct str rest = str_from(http_header(x, HTTP_COOKIES)), value;

    for (int i = 0; i < COOKIES_MAX && cookie_next(&rest, cookie_name(accounts_secure_cookies(a)), &value); i++) {
        struct session *s = sessions_by_token(a->sessions, value, clock_realtime_us());
        if (s && session_key_fits(s, key))
            return s;
        session_unref(s);
    }
    return NULL;
}

/* The key says that a session is meant; a cookie alone is nobody's. */
static enum claim look_cookie(const struct provider_data *d, struct http_exchange *x, struct identity *who,
                              struct error **err)
{
    const char *key = http_header(x, "X-Open-Hydra-Session-Key");

    if (key == NULL || nginx_says_api_listener(x))
        return CLAIM_NONE;
    _cleanup_session_ struct session *s = session_of_cookie(d->accounts, x, key);
    return s ? identity_be_session(d, x, s, who, err) : session_ended(err);
}

static bool session_holds(const struct provider_data *d, const struct identity *who)
{
    _cleanup_session_ struct session *s = sessions_by_id(d->accounts->sessions, who->session, clock_realtime_us());

    return who->session == NULL || s != NULL;
}

const struct provider provider_token = {.name = "token", .look = look_token, .holds = session_holds};
const struct provider provider_cookie = {.name = "session", .look = look_cookie};
