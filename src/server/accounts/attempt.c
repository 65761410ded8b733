#include "server/accounts/attempt.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "server/accounts/password.h"

#define SECRET_SCOPE "auth"
#define SECRET_FAMILIAR "familiar"

/* --- Familiar browsers --- */

static bool read_keys(struct accounts *a, struct familiar_keys *keys)
{
    size_t n = 0;
    char *master = store_secret(a->store, SECRET_SCOPE, STR(SECRET_FAMILIAR), &n);
    bool good = master && n == FAMILIAR_KEY_BYTES;

    if (good)
        familiar_keys_derive(keys, (const unsigned char *)master);
    if (master)
        sodium_memzero(master, n);
    free(master);
    return good;
}

void attempt_prepare_familiar(struct store_txn *t)
{
    unsigned char master[FAMILIAR_KEY_BYTES];

    if (txn_secret(t, SECRET_SCOPE, STR(SECRET_FAMILIAR)).n == FAMILIAR_KEY_BYTES)
        return;
    randombytes_buf(master, sizeof(master));
    txn_secret_put(t, SECRET_SCOPE, STR(SECRET_FAMILIAR), (struct str){(const char *)master, sizeof(master)});
    sodium_memzero(master, sizeof(master));
}

const char *attempt_remember_browser(struct accounts *a, const struct familiar_account *account, const char *cookies,
                                     struct arena *arena)
{
    struct familiar_keys keys;

    if (account->hash == NULL || !read_keys(a, &keys))
        return NULL;
    return familiar_cookie(arena, &keys, cookies, accounts_secure_cookies(a), account, clock_realtime_us());
}

/* The caller frees. NULL: a strange one. */
static char *find_browser(struct accounts *a, const char *cookies, const char *name)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct familiar_keys keys;
    struct account account;
    size_t n;

    if (cookies == NULL || !read_keys(a, &keys) || !account_find(a->store, name, arena, &account))
        return NULL;
    _cleanup_free_ char *hash = store_secret(a->store, SECRET_PASSWORD, str_from(account.uid), &n);
    if (hash == NULL)
        return NULL;
    const struct familiar_account wanted = {account.uid, hash};
    const char *browser =
        familiar_find(arena, &keys, cookies, accounts_secure_cookies(a), &wanted, clock_realtime_us());
    return browser ? xstrdup(browser) : NULL;
}

/* --- Attempts --- */

void attempt_init(struct attempt *t, struct accounts *a, const struct attempt_source *from, const char *account)
{
    assert(account && from->address);
    *t = (struct attempt){xstrdup(account), xstrdup(from->address), find_browser(a, from->cookies, account)};
}

void attempt_by_browser(struct attempt *t, const char *browser)
{
    free(t->browser);
    t->browser = xstrdup(browser);
}

void attempt_clear(struct attempt *t)
{
    free(t->account);
    free(t->address);
    free(t->browser);
    *t = (struct attempt){0};
}

static struct throttle_attempt throttle_attempt_of(const struct attempt *t)
{
    return (struct throttle_attempt){t->account, t->address, t->browser};
}

unsigned attempt_start(struct accounts *a, const struct attempt *t, void (*work)(void *), void (*drop)(void *),
                       void *arg)
{
    int64_t now = clock_monotonic_us();
    const struct throttle_attempt attempt = throttle_attempt_of(t);
    const struct throttle_verdict v = throttle_begin(a->throttle, &attempt, now);

    char client[ADDRESS_MAX];

    if (v.refused)
        return v.refused;
    /* As the throttle counts: a network of IPv6 would have as many turns as it has addresses. */
    address_client(client, str_from(t->address));
    const struct work piece = {.fn = work, .arg = arg, .owner = client};
    int rc =
        v.wait_us ? workers_submit_at(a->workers, now + v.wait_us, &piece, drop) : workers_submit(a->workers, &piece);
    return rc < 0 ? 1 : 0;
}

void attempt_succeeded(struct accounts *a, const struct attempt *t)
{
    const struct throttle_attempt attempt = throttle_attempt_of(t);
    throttle_succeeded(a->throttle, &attempt, clock_monotonic_us());
}

int attempt_too_many(struct error **err, unsigned seconds)
{
    error_set(err, REASON_TOO_MANY_REQUESTS, "too many attempts: try again in %u s", seconds);
    if (err && *err)
        (*err)->retry_after = seconds;
    return -1;
}
