#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kinds/names.h"
#include "server/auth/cookie.h"
#include "server/auth/room.h"

/* A revocation of a client certificate counts after this at the latest. */
#define LOOK_EVERY_US 20000

/* By which names browsers come. Listening everywhere, any literal address is ours as well: only names can be rebound.
 */
static void set_origin(struct auth *a)
{
    const struct config *c = a->config;

    a->origin = (struct origin_policy){
        .hosts = (const char *const *)c->hosts,
        .any_address = streq(c->dashboard.host, "0.0.0.0") || streq(c->dashboard.host, "::"),
        .port = c->dashboard.first,
        .tls = config_browser_tls(c),
    };
}

struct auth *auth_new(const struct config *config, struct store *store, struct workers *workers)
{
    struct auth *a = xcalloc(1, sizeof(*a));
    _cleanup_free_ char *revoked = xasprintf("%s/pki/revoked", config->data);

    a->config = config;
    a->store = store;
    a->workers = workers;
    a->admins = admins_new(store);
    a->sessions = sessions_new(store);
    a->throttle = throttle_new();
    a->verified = verified_new();
    a->revoked = revoked_new(revoked, LOOK_EVERY_US);
    a->secure_cookie = config_browser_tls(config) || listen_is_loopback(&config->dashboard);
    pthread_mutex_init(&a->setup_lock, NULL);
    set_origin(a);
    return a;
}

void auth_free(struct auth *a)
{
    if (a == NULL)
        return;
    admins_free(a->admins);
    sessions_free(a->sessions);
    throttle_free(a->throttle);
    verified_free(a->verified);
    revoked_free(a->revoked);
    pthread_mutex_destroy(&a->setup_lock);
    free(a->setup_code);
    free(a);
}

void auth_set_api(struct auth *a, struct api *api)
{
    a->api = api;
}

void auth_set_user_kind(struct auth *a, const struct kind *users)
{
    a->user_kind = users;
}

void auth_use_session(struct auth *a, struct session *s)
{
    const struct session_life life = {a->config->session_seconds, a->config->session_max_seconds};
    sessions_use(a->store, s, &life, clock_realtime_us());
}

bool auth_session_valid(struct auth *a, const char *session_id, bool use)
{
    _cleanup_session_ struct session *s =
        session_id ? sessions_by_id(a->sessions, session_id, clock_realtime_us()) : NULL;
    /* Of one that is being deleted the sessions have ended. */
    _cleanup_object_ struct object *user = s ? store_get(a->store, PLURAL_USERS, str_from(s->user_name)) : NULL;

    if (user == NULL || !streq(user->uid, s->user_uid))
        return false;
    if (use)
        auth_use_session(a, s);
    return true;
}

bool auth_certificate_valid(struct auth *a, const char *serial)
{
    return !revoked_has(a->revoked, serial);
}

bool auth_still_holds(struct auth *a, const struct identity *who)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    _cleanup_session_ struct session *s =
        who->session ? sessions_by_id(a->sessions, who->session, clock_realtime_us()) : NULL;
    if (who->session && s == NULL)
        return false;
    if (who->certificate && revoked_has(a->revoked, who->certificate))
        return false;
    if (who->uid == NULL)
        return true;
    return account_find(a->store, who->name, arena, &account) && streq(account.uid, who->uid) &&
           account.role == who->role;
}

const char *auth_client_address(const struct http_exchange *x)
{
    const char *address = http_role(x) == HTTP_GATEWAY ? http_header(x, "X-Real-IP") : NULL;
    return address ? address : "";
}

int auth_too_many(struct error **err, unsigned seconds)
{
    error_set(err, REASON_TOO_MANY_REQUESTS, "too many attempts: try again in %u s", seconds);
    if (err && *err)
        (*err)->retry_after = seconds;
    return -1;
}

bool auth_verify_login(struct auth *a, const char *user, const char *password, char **hash)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;
    size_t n;

    *hash = account_find(a->store, user, arena, &account)
                ? store_secret(a->store, SECRET_PASSWORD, str_from(account.uid), &n)
                : NULL;
    if (password_verify(*hash, password))
        return true;
    free(*hash);
    *hash = NULL;
    return false;
}
