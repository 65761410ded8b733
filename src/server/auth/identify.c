#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/auth/attempt.h"
#include "server/auth/certificate_identity.h"
#include "server/auth/cookie.h"
#include "server/auth/room.h"

#define COOKIES_MAX 8 /* of our name; more are a hostile page's */

/* What a look at a request can tell. */
enum outcome {
    FAILED = -1,
    KNOWN,
    UNVERIFIED, /* a password has to be looked at */
};

static void be(struct identity *who, const char *name, int role)
{
    *who = (struct identity){.name = name, .role = role};
}

/* --- Browsers --- */

static bool is_api_listener(const struct http_exchange *x)
{
    return streq(http_header(x, "X-Open-Hydra-Listener"), "api");
}

/* nginx's own word. Only the API's listener asks for certificates. */
static const char *certificate_state(const struct http_exchange *x)
{
    const char *state = is_api_listener(x) ? http_header(x, "X-Client-Verify") : NULL;
    return state && *state && !streq(state, "NONE") ? state : NULL;
}

int auth_check_origin(const struct auth *a, struct http_exchange *x, struct error **err)
{
    struct origin_request r = {
        .method = http_method(x),
        .host = http_header(x, "Host"),
        .origin = http_header(x, "Origin"),
        .fetch_site = http_header(x, "Sec-Fetch-Site"),
        .fetch_mode = http_header(x, "Sec-Fetch-Mode"),
        .fetch_dest = http_header(x, "Sec-Fetch-Dest"),
    };

    /* A browser that holds a certificate sends it with what any page asks, so that Sec-Fetch-* counts there too. Origin
     * does not: `kubectl proxy` passes that of its own pages on. */
    if (certificate_state(x))
        r.origin = NULL;
    if (is_api_listener(x))
        return origin_check_source(NULL, &r, err);
    if (origin_check_host(&a->origin, r.host, err) < 0)
        return -1;
    return origin_check_source(&a->origin, &r, err);
}

/* --- The ways to say who one is, in their order --- */

static void take_account(struct identity *who, const struct account *account)
{
    who->name = account->name;
    who->role = account->role;
    who->uid = account->uid;
}

static int by_certificate(struct auth *a, struct http_exchange *x, const char *state, struct identity *who,
                          struct error **err)
{
    struct arena *arena = http_arena(x);
    const char *dn = http_header(x, "X-Client-Subject"), *hex = http_header(x, "X-Client-Serial");
    const char *serial = hex ? serial_normal(arena, str_from(hex)) : NULL;
    struct subject subject;
    struct account account;

    if (!streq(state, "SUCCESS") || dn == NULL || serial == NULL || subject_parse(arena, str_from(dn), &subject) < 0 ||
        subject.common_name == NULL)
        return error_set(err, REASON_UNAUTHORIZED, "the client certificate is not valid");
    if (revoked_has(a->revoked, serial))
        return error_set(err, REASON_UNAUTHORIZED, "the client certificate has been revoked");
    if (subject.masters)
        be(who, subject.common_name, ROLE_ADMIN);
    else if (account_find(a->store, subject.common_name, arena, &account))
        take_account(who, &account);
    else
        be(who, subject.common_name, ROLE_NONE);
    who->certificate = serial;
    return KNOWN;
}

static int by_nothing_asked(struct auth *a, struct http_exchange *x, struct identity *who)
{
    struct account account;

    if (admins_first(a->admins, http_arena(x), &account))
        take_account(who, &account);
    else
        be(who, "admin", ROLE_ADMIN);
    return KNOWN;
}

static int ended(struct error **err)
{
    return error_set(err, REASON_UNAUTHORIZED, "the session has ended: log in again");
}

/* A page that is only open watches, again and again: that is no use of it. */
static bool is_watch(struct http_exchange *x)
{
    const char *watch = http_method(x) == HTTP_GET ? http_query(x, "watch") : NULL;
    return watch && !streq(watch, "0") && !streq(watch, "false");
}

static int by_session(struct auth *a, struct http_exchange *x, struct session *s, struct identity *who,
                      struct error **err)
{
    struct account account;

    if (!account_find(a->store, s->user_name, http_arena(x), &account) || !streq(account.uid, s->user_uid))
        return ended(err);
    take_account(who, &account);
    if (!is_watch(x))
        auth_use_session(a, s);
    who->session = arena_strdup(http_arena(x), s->id);
    return KNOWN;
}

static int by_bearer(struct auth *a, struct http_exchange *x, struct str token, struct identity *who,
                     struct error **err)
{
    _cleanup_session_ struct session *s = sessions_by_token(a->sessions, token, clock_realtime_us());

    /* A cookie's token is none for scripts: it would do without the key. */
    return s && !s->has_key ? by_session(a, x, s, who, err) : ended(err);
}

/* Of several cookies with our name (a page of another port can add some) the one that fits the key. */
static struct session *session_of_cookie(struct auth *a, const struct http_exchange *x, const char *key)
{
    struct str rest = str_from(http_header(x, HTTP_COOKIES)), value;

    for (int i = 0; i < COOKIES_MAX && cookie_next(&rest, cookie_name(a->secure_cookie), &value); i++) {
        struct session *s = sessions_by_token(a->sessions, value, clock_realtime_us());
        if (s && session_key_fits(s, key))
            return s;
        session_unref(s);
    }
    return NULL;
}

static int by_cookie(struct auth *a, struct http_exchange *x, const char *key, struct identity *who, struct error **err)
{
    _cleanup_session_ struct session *s = session_of_cookie(a, x, key);
    return s ? by_session(a, x, s, who, err) : ended(err);
}

static int through_gateway(struct auth *a, struct http_exchange *x, struct identity *who, struct login *login,
                           struct error **err)
{
    const char *certificate = certificate_state(x), *key = http_header(x, "X-Open-Hydra-Session-Key");
    const char *old_header = http_header(x, "Open-Hydra-Auth");
    struct str token;

    if (auth_check_origin(a, x, err) < 0)
        return FAILED;
    if (certificate)
        return by_certificate(a, x, certificate, who, err);
    /* Before all that could be wrong: the original, without authentication, looks at no header either. */
    if (a->config->disable_auth)
        return by_nothing_asked(a, x, who);
    if (credentials_bearer(http_header(x, "Authorization"), &token))
        return by_bearer(a, x, token, who, err);
    /* The key says that a session is meant; a cookie alone is nobody's (gateway.md §5). */
    if (key && !is_api_listener(x))
        return by_cookie(a, x, key, who, err);
    if (old_header == NULL)
        return KNOWN;
    if (credentials_login(old_header, login) < 0)
        return error_set(err, REASON_UNAUTHORIZED, "Open-Hydra-Auth is not of the form Bearer base64(user:password)");
    return UNVERIFIED;
}

static int look(struct auth *a, struct http_exchange *x, struct identity *who, struct login *login, struct error **err)
{
    be(who, "system:anonymous", ROLE_NONE);
    switch (http_role(x)) {
    case HTTP_RUNNER:
        be(who, "system:runner", ROLE_RUNNER);
        return KNOWN;
    case HTTP_GATEWAY:
        return through_gateway(a, x, who, login, err);
    case HTTP_AUTH:
    case HTTP_LOGS:
    default:
        return KNOWN;
    }
}

/* --- A password that comes with the request --- */

/* A request that waits for the verification of its password; in the exchange's arena. */
struct waiting {
    struct verified_waiter waiter; /* first */
    struct auth *auth;
    struct http_exchange *x;
    auth_done *done;
    void *arg;
    const char *user;
};

/* The verification itself, for all that wait. */
struct verification {
    struct auth *auth;
    struct login login;
    struct attempt attempt;
    unsigned char digest[HASH_SIZE];
};

static void free_verification(struct verification *v)
{
    login_clear(&v->login);
    attempt_clear(&v->attempt);
    free(v);
}

static void refuse(struct waiting *t, unsigned wait)
{
    struct error *err = NULL;

    if (wait)
        auth_too_many(&err, wait);
    else
        error_set(&err, REASON_UNAUTHORIZED, "the user name or the password is wrong");
    t->done(t->x, NULL, err, t->arg);
}

static void accept(struct waiting *t)
{
    struct account account;
    struct identity who = {0};

    if (!account_find(t->auth->store, t->user, http_arena(t->x), &account))
        return refuse(t, 0);
    take_account(&who, &account);
    t->done(t->x, &who, NULL, t->arg);
}

static void present_stamp(struct auth *a, const char *user, unsigned char stamp[static HASH_SIZE])
{
    _cleanup_arena_ struct arena *arena = arena_new();
    _cleanup_free_ char *hash = NULL;
    struct account account;
    size_t n;

    if (account_find(a->store, user, arena, &account))
        hash = store_secret(a->store, SECRET_PASSWORD, str_from(account.uid), &n);
    verified_stamp(a->verified, hash, stamp);
}

static void end_all(struct verification *v, const unsigned char *stamp, unsigned wait)
{
    struct verified_waiter *w = verified_end(v->auth->verified, v->digest, stamp, clock_monotonic_us());
    unsigned char now[HASH_SIZE] = {0};

    /* Who joined after the password had been changed must not be let in by the old one. */
    if (stamp)
        present_stamp(v->auth, v->login.user, now);
    bool good = stamp && memcmp(now, stamp, HASH_SIZE) == 0;
    while (w) {
        struct verified_waiter *next = w->next;
        if (good)
            accept((struct waiting *)w);
        else
            refuse((struct waiting *)w, wait);
        w = next;
    }
    free_verification(v);
}

static void verify(void *arg)
{
    struct verification *v = arg;
    struct auth *a = v->auth;
    _cleanup_free_ char *hash = NULL;
    unsigned char stamp[HASH_SIZE];

    if (!auth_verify_login(a, v->login.user, v->login.password, &hash))
        return end_all(v, NULL, 0);
    attempt_succeeded(a, &v->attempt);
    verified_stamp(a->verified, hash, stamp);
    end_all(v, stamp, 0);
}

static void give_up(void *arg)
{
    end_all(arg, NULL, 1);
}

static void start_verification(struct verification *v)
{
    unsigned wait = attempt_start(v->auth, &v->attempt, verify, give_up, v);

    if (wait)
        end_all(v, NULL, wait);
}

/* Takes the login. */
static void verify_login(struct auth *a, struct http_exchange *x, struct login *login, auth_done *done, void *arg)
{
    struct waiting *t = arena_alloc(http_arena(x), sizeof(*t));
    struct verification *v = xcalloc(1, sizeof(*v));
    unsigned char stamp[HASH_SIZE];

    *t = (struct waiting){.auth = a, .x = x, .done = done, .arg = arg};
    t->user = arena_strdup(http_arena(x), login->user);
    *v = (struct verification){.auth = a, .login = *login};
    attempt_init(&v->attempt, a, x, login->user);
    *login = (struct login){0};
    verified_digest(a->verified, v->login.user, v->login.password, v->digest);
    present_stamp(a, v->login.user, stamp);
    switch (verified_begin(a->verified, v->digest, stamp, clock_monotonic_us(), &t->waiter)) {
    case VERIFIED_YOURS:
        return start_verification(v);
    case VERIFIED_KNOWN:
        free_verification(v);
        return accept(t);
    case VERIFIED_JOINED:
    default:
        free_verification(v);
    }
}

void auth_identify(struct auth *a, struct http_exchange *x, auth_done *done, void *arg)
{
    _cleanup_login_ struct login login = {0};
    struct identity who;
    struct error *err = NULL;

    switch (look(a, x, &who, &login, &err)) {
    case UNVERIFIED:
        return verify_login(a, x, &login, done, arg);
    case KNOWN:
        return done(x, &who, NULL, arg);
    default:
        return done(x, NULL, err, arg);
    }
}

int auth_peek(struct auth *a, struct http_exchange *x, struct identity *who, struct error **err)
{
    _cleanup_login_ struct login login = {0};
    enum outcome outcome = look(a, x, who, &login, err);

    return outcome == FAILED ? -1 : outcome == KNOWN;
}
