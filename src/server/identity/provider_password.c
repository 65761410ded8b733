/* The original's header Open-Hydra-Auth: name and password with every request. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/accounts/attempt.h"
#include "server/identity/credentials.h"
#include "server/identity/nginx_headers.h"
#include "server/identity/provider.h"
#include "server/identity/verified.h"

static void *open_verified(struct accounts *accounts)
{
    return verified_new();
}

static void close_verified(void *own)
{
    verified_free(own);
}

static int read_login_header(struct http_exchange *x, struct login *login)
{
    return credentials_login(http_header(x, "Open-Hydra-Auth"), login);
}

static enum claim look_password(const struct provider_data *d, struct http_exchange *x, struct identity *who,
                                struct error **err)
{
    _cleanup_login_ struct login login = {0};

    if (http_header(x, "Open-Hydra-Auth") == NULL)
        return CLAIM_NONE;
    if (read_login_header(x, &login) == 0)
        return CLAIM_UNPROVEN;
    error_set(err, REASON_UNAUTHORIZED, "Open-Hydra-Auth is not of the form Bearer base64(user:password)");
    return CLAIM_REFUSED;
}

/* --- Proof: one verification for all that say the same at a time --- */

/* A request that waits for it; in the exchange's arena. */
struct password_waiter {
    struct verified_waiter waiter; /* first */
    struct accounts *accounts;
    struct proof *proof;
    const char *user;
};

struct verification {
    struct accounts *accounts;
    struct verified *verified;
    struct login login;
    struct attempt attempt;
    unsigned char digest[HASH_SIZE];
};

static void verification_free(struct verification *v)
{
    login_clear(&v->login);
    attempt_clear(&v->attempt);
    free(v);
}

static void refuse_waiter(struct password_waiter *t, unsigned wait)
{
    struct error *err = NULL;

    if (wait)
        attempt_too_many(&err, wait);
    else
        error_set(&err, REASON_UNAUTHORIZED, "the user name or the password is wrong");
    t->proof->done(t->proof, NULL, err);
}

static void accept_waiter(struct password_waiter *t)
{
    struct account account;
    struct identity who = {0};

    if (!account_find(t->accounts->store, t->user, http_arena(t->proof->x), &account))
        return refuse_waiter(t, 0);
    identity_be_account(&who, &account);
    t->proof->done(t->proof, &who, NULL);
}

static void present_stamp(const struct verification *v, unsigned char stamp[static HASH_SIZE])
{
    _cleanup_free_ char *hash = accounts_password_of(v->accounts, v->login.user);

    verified_stamp(v->verified, hash, stamp);
}

static void end_verification(struct verification *v, const unsigned char *stamp, unsigned wait)
{
    struct verified_waiter *w = verified_end(v->verified, v->digest, stamp, clock_monotonic_us());
    unsigned char now[HASH_SIZE] = {0};

    /* Who joined after the password had been changed must not be let in by the old one. */
    if (stamp)
        present_stamp(v, now);
    bool good = stamp && memcmp(now, stamp, HASH_SIZE) == 0;
    while (w) {
        struct verified_waiter *next = w->next;
        if (good)
            accept_waiter((struct password_waiter *)w);
        else
            refuse_waiter((struct password_waiter *)w, wait);
        w = next;
    }
    verification_free(v);
}

static void verify_on_worker(void *arg)
{
    struct verification *v = arg;
    _cleanup_free_ char *hash = NULL;
    unsigned char stamp[HASH_SIZE];

    if (!accounts_verify_password(v->accounts, v->login.user, v->login.password, &hash))
        return end_verification(v, NULL, 0);
    attempt_succeeded(v->accounts, &v->attempt);
    verified_stamp(v->verified, hash, stamp);
    end_verification(v, stamp, 0);
}

static void drop_verification(void *arg)
{
    end_verification(arg, NULL, 1);
}

static void start_verification(struct verification *v)
{
    unsigned wait = attempt_start(v->accounts, &v->attempt, verify_on_worker, drop_verification, v);

    if (wait)
        end_verification(v, NULL, wait);
}

static struct verification *verification_new(const struct provider_data *d, struct http_exchange *x)
{
    struct verification *v = xcalloc(1, sizeof(*v));
    const struct attempt_source from = {nginx_says_address(x), http_header(x, HTTP_COOKIES)};

    *v = (struct verification){.accounts = d->accounts, .verified = d->own};
    /* The form was looked at before. */
    if (read_login_header(x, &v->login) < 0)
        abort();
    attempt_init(&v->attempt, d->accounts, &from, v->login.user);
    verified_digest(v->verified, v->login.user, v->login.password, v->digest);
    return v;
}

static void prove_password(const struct provider_data *d, struct proof *p)
{
    struct password_waiter *t = arena_alloc(http_arena(p->x), sizeof(*t));
    struct verification *v = verification_new(d, p->x);
    unsigned char stamp[HASH_SIZE];

    *t = (struct password_waiter){.accounts = d->accounts, .proof = p};
    t->user = arena_strdup(http_arena(p->x), v->login.user);
    present_stamp(v, stamp);
    switch (verified_begin(v->verified, v->digest, stamp, clock_monotonic_us(), &t->waiter)) {
    case VERIFIED_YOURS:
        return start_verification(v);
    case VERIFIED_KNOWN:
        verification_free(v);
        return accept_waiter(t);
    case VERIFIED_JOINED:
    default:
        verification_free(v);
    }
}

const struct provider provider_password = {
    .name = "password",
    .open = open_verified,
    .close = close_verified,
    .look = look_password,
    .prove = prove_password,
};
