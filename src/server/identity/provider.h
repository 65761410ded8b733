#pragma once

#include "http/http.h"
#include "server/accounts/accounts.h"
#include "server/api/authorize.h"

/*
 * A way to say who one is: a row of the table in providers.c.
 *
 *                 look ──► CLAIM_NONE      the next row is asked; behind the last one it is system:anonymous
 *                      ──► CLAIM_GOOD      that is who it is
 *                      ──► CLAIM_REFUSED   that is the answer: no other row is asked
 *                      ──► CLAIM_UNPROVEN  prove ──► proof->done, once, from any thread
 */
enum claim { CLAIM_NONE, CLAIM_GOOD, CLAIM_REFUSED, CLAIM_UNPROVEN };

struct provider_data {
    struct accounts *accounts; /* with the configuration */
    void *own;                 /* what open returned */
};

/* What is to be proven; lives as long as the exchange. `done` takes `err`; of `who`, name and role at least. */
struct proof {
    struct http_exchange *x;
    void (*done)(struct proof *p, struct identity *who, struct error *err);
};

struct provider {
    const char *name; /* becomes identity.method */
    /* What it remembers between requests; NULL: nothing. */
    void *(*open)(struct accounts *accounts);
    void (*close)(void *own);
    /* On the event thread: no work, no waiting. `who` is system:anonymous before; groups that are left out become
     * system:authenticated. */
    enum claim (*look)(const struct provider_data *d, struct http_exchange *x, struct identity *who,
                       struct error **err);
    /* Only for whoever's look says CLAIM_UNPROVEN. On the event thread too: work goes to accounts->workers, a call to
     * others to where it waits. */
    void (*prove)(const struct provider_data *d, struct proof *p);
    /* Whether what a former request was identified by still counts; anybody's identity is asked. NULL: as long as its
     * user is there. */
    bool (*holds)(const struct provider_data *d, const struct identity *who);
};

extern const struct provider provider_certificate, provider_unasked, provider_token, provider_cookie, provider_password;

/* The table, in its order; ended by NULL. */
extern const struct provider *const providers[];
#define PROVIDERS_MAX 16

/* Of a user here. The strings stay the account's. */
static inline void identity_be_account(struct identity *who, const struct account *account)
{
    who->name = account->name;
    who->role = account->role;
    who->uid = account->uid;
}
