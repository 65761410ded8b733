#include "server/accounts/accounts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "config/public.h"
#include "kinds/names.h"
#include "server/accounts/password.h"

struct accounts *accounts_new(const struct config *config, struct store *store, struct workers *workers)
{
    struct accounts *a = xcalloc(1, sizeof(*a));

    assert(config && store && workers);
    *a = (struct accounts){
        .config = config,
        .store = store,
        .workers = workers,
        .admins = admins_new(store),
        .sessions = sessions_new(store),
        .throttle = throttle_new(),
        .setup_code = setup_code_new(),
    };
    return a;
}

void accounts_free(struct accounts *a)
{
    if (a == NULL)
        return;
    admins_free(a->admins);
    sessions_free(a->sessions);
    throttle_free(a->throttle);
    setup_code_free(a->setup_code);
    free(a);
}

bool accounts_secure_cookies(const struct accounts *a)
{
    if (a->config->public_address)
        return public_is_secure(a->config);
    return config_browser_tls(a->config) || listen_is_loopback(&a->config->dashboard);
}

char *accounts_password_of(struct accounts *a, const char *user)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;
    size_t n;

    return account_find(a->store, user, arena, &account)
               ? store_secret(a->store, SECRET_PASSWORD, str_from(account.uid), &n)
               : NULL;
}

bool accounts_verify_password(struct accounts *a, const char *user, const char *password, char **hash)
{
    *hash = accounts_password_of(a, user);
    if (password_verify(*hash, password))
        return true;
    free(*hash);
    *hash = NULL;
    return false;
}

void accounts_use_session(struct accounts *a, struct session *s)
{
    const struct session_life life = {a->config->session_seconds, a->config->session_max_seconds};

    sessions_use(a->store, s, &life, clock_realtime_us());
}

bool accounts_session_valid(struct accounts *a, const char *session_id, bool use)
{
    _cleanup_session_ struct session *s = sessions_by_id(a->sessions, session_id, clock_realtime_us());
    /* Of one that is being deleted the sessions have ended. */
    _cleanup_object_ struct object *user = s ? store_get(a->store, PLURAL_USERS, str_from(s->user_name)) : NULL;

    if (user == NULL || !streq(user->uid, s->user_uid))
        return false;
    if (use)
        accounts_use_session(a, s);
    return true;
}

char *accounts_setup_code(struct accounts *a)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account admin;

    /* Where nobody is asked who he is, everybody is an administrator already. */
    if (a->config->disable_auth || admins_first(a->admins, arena, &admin))
        return NULL;
    return setup_code_make(a->setup_code);
}
