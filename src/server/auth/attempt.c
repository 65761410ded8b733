#include "server/auth/attempt.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define SECRET_SCOPE "auth"
#define SECRET_FAMILIAR "familiar"

/* --- Familiar browsers --- */

static bool read_keys(struct auth *a, struct familiar_keys *keys)
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

void familiar_prepare(struct store_txn *t)
{
    unsigned char master[FAMILIAR_KEY_BYTES];

    if (txn_secret(t, SECRET_SCOPE, STR(SECRET_FAMILIAR)).n == FAMILIAR_KEY_BYTES)
        return;
    randombytes_buf(master, sizeof(master));
    txn_secret_put(t, SECRET_SCOPE, STR(SECRET_FAMILIAR), (struct str){(const char *)master, sizeof(master)});
    sodium_memzero(master, sizeof(master));
}

void familiar_remember(struct auth *a, struct http_exchange *x, const struct familiar_account *account)
{
    struct familiar_keys keys;

    if (account->hash && read_keys(a, &keys))
        http_add_header(x, "Set-Cookie",
                        familiar_cookie(http_arena(x), &keys, http_header(x, HTTP_COOKIES), a->secure_cookie, account,
                                        clock_realtime_us()));
}

static const char *find_browser(struct auth *a, struct http_exchange *x, const char *name)
{
    struct arena *arena = http_arena(x);
    struct familiar_keys keys;
    struct account account;
    size_t n;

    if (http_header(x, HTTP_COOKIES) == NULL || !read_keys(a, &keys) || !account_find(a->store, name, arena, &account))
        return NULL;
    _cleanup_free_ char *hash = store_secret(a->store, SECRET_PASSWORD, str_from(account.uid), &n);
    const struct familiar_account wanted = {account.uid, hash};
    return hash ? familiar_find(arena, &keys, http_header(x, HTTP_COOKIES), a->secure_cookie, &wanted,
                                clock_realtime_us())
                : NULL;
}

/* --- Attempts --- */

void attempt_init(struct attempt *t, struct auth *a, struct http_exchange *x, const char *account)
{
    const char *browser = find_browser(a, x, account);

    *t = (struct attempt){xstrdup(account), xstrdup(auth_client_address(x)), browser ? xstrdup(browser) : NULL};
}

void attempt_clear(struct attempt *t)
{
    free(t->account);
    free(t->address);
    free(t->browser);
    *t = (struct attempt){0};
}

static struct throttle_attempt counted(const struct attempt *t)
{
    return (struct throttle_attempt){t->account, t->address, t->browser};
}

unsigned attempt_start(struct auth *a, const struct attempt *t, void (*work)(void *), void (*drop)(void *), void *arg)
{
    int64_t now = clock_monotonic_us();
    const struct throttle_attempt attempt = counted(t);
    const struct throttle_verdict v = throttle_begin(a->throttle, &attempt, now);

    if (v.refused)
        return v.refused;
    const struct work piece = {.fn = work, .arg = arg, .owner = t->address};
    int rc =
        v.wait_us ? workers_submit_at(a->workers, now + v.wait_us, &piece, drop) : workers_submit(a->workers, &piece);
    return rc < 0 ? 1 : 0;
}

void attempt_succeeded(struct auth *a, const struct attempt *t)
{
    const struct throttle_attempt attempt = counted(t);
    throttle_succeeded(a->throttle, &attempt, clock_monotonic_us());
}
