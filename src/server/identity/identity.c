#include "server/identity/identity.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/identity/nginx_headers.h"
#include "server/identity/origin.h"
#include "server/identity/provider.h"

struct identifier {
    struct accounts *accounts;
    struct origin_policy origin;
    struct provider_data data[PROVIDERS_MAX]; /* of each of providers[] */
};

/* By which names browsers come. Listening everywhere, any literal address is ours as well: only names can be rebound.
 */
static struct origin_policy own_origin(const struct config *c)
{
    return (struct origin_policy){
        .hosts = (const char *const *)c->hosts,
        .any_address = streq(c->dashboard.host, "0.0.0.0") || streq(c->dashboard.host, "::"),
        .port = c->dashboard.first,
        .tls = config_browser_tls(c),
        .public = c->public_address,
    };
}

struct identifier *identifier_new(struct accounts *accounts)
{
    struct identifier *i = xcalloc(1, sizeof(*i));

    i->accounts = accounts;
    i->origin = own_origin(accounts->config);
    for (size_t k = 0; providers[k]; k++)
        i->data[k] = (struct provider_data){accounts, providers[k]->open ? providers[k]->open(accounts) : NULL};
    return i;
}

void identifier_free(struct identifier *i)
{
    if (i == NULL)
        return;
    for (size_t k = 0; providers[k]; k++)
        if (providers[k]->close)
            providers[k]->close(i->data[k].own);
    free(i);
}

int identity_check_origin(const struct identifier *i, const struct http_exchange *x, struct error **err)
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
    if (nginx_says_certificate(x))
        r.origin = NULL;
    if (nginx_says_api_listener(x))
        return origin_check_source(NULL, &r, err);
    if (origin_check_host(&i->origin, r.host, err) < 0)
        return -1;
    return origin_check_source(&i->origin, &r, err);
}

/* --- The walk --- */

static const char *const authenticated[] = {"system:authenticated", NULL}, *const unauthenticated[] = {
                                                                               "system:unauthenticated", NULL};

static struct identity anonymous_identity(const struct http_exchange *x)
{
    return (struct identity){.name = "system:anonymous",
                             .role = ROLE_NONE,
                             .groups = unauthenticated,
                             .method = "anonymous",
                             .address = nginx_says_address(x)};
}

/* What every provider's answer says. */
static void complete_identity(struct identity *who, const struct provider *by, const struct http_exchange *x)
{
    assert(who->name && by->name);
    who->method = by->name;
    who->address = nginx_says_address(x);
    if (who->groups == NULL || who->groups == unauthenticated)
        who->groups = authenticated;
}

/* The first of them whose claim the request makes; which one: *k. */
static enum claim ask_providers(struct identifier *i, struct http_exchange *x, struct identity *who, size_t *k,
                                struct error **err)
{
    if (identity_check_origin(i, x, err) < 0)
        return CLAIM_REFUSED;
    for (*k = 0; providers[*k]; ++*k) {
        enum claim claim = providers[*k]->look(&i->data[*k], x, who, err);
        if (claim == CLAIM_GOOD)
            complete_identity(who, providers[*k], x);
        if (claim != CLAIM_NONE)
            return claim;
    }
    return CLAIM_GOOD;
}

static enum claim look_at_request(struct identifier *i, struct http_exchange *x, struct identity *who, size_t *k,
                                  struct error **err)
{
    *who = anonymous_identity(x);
    switch (http_role(x)) {
    case HTTP_RUNNER:
        *who = (struct identity){.name = "system:runner",
                                 .role = ROLE_RUNNER,
                                 .groups = authenticated,
                                 .method = "socket",
                                 .address = nginx_says_address(x)};
        return CLAIM_GOOD;
    case HTTP_GATEWAY:
        return ask_providers(i, x, who, k, err);
    case HTTP_AUTH:
    case HTTP_LOGS:
    default:
        return CLAIM_GOOD;
    }
}

int identity_peek(struct identifier *i, struct http_exchange *x, struct identity *who, struct error **err)
{
    size_t k = 0;
    enum claim claim = look_at_request(i, x, who, &k, err);

    return claim == CLAIM_REFUSED ? -1 : claim == CLAIM_GOOD;
}

/* --- With proof --- */

struct pending_identity {
    struct proof proof; /* first */
    const struct provider *by;
    identity_done *done;
    void *arg;
};

static void identity_proven(struct proof *p, struct identity *who, struct error *err)
{
    struct pending_identity *pending = (struct pending_identity *)p;

    assert((who == NULL) == (err != NULL));
    if (who)
        complete_identity(who, pending->by, p->x);
    pending->done(p->x, who, err, pending->arg);
}

static void start_proof(struct identifier *i, struct http_exchange *x, size_t k, identity_done *done, void *arg)
{
    struct pending_identity *pending = arena_alloc(http_arena(x), sizeof(*pending));

    assert(providers[k]->prove);
    *pending = (struct pending_identity){{x, identity_proven}, providers[k], done, arg};
    providers[k]->prove(&i->data[k], &pending->proof);
}

void identity_find(struct identifier *i, struct http_exchange *x, identity_done *done, void *arg)
{
    struct identity who;
    struct error *err = NULL;
    size_t k = 0;

    assert(done);
    switch (look_at_request(i, x, &who, &k, &err)) {
    case CLAIM_UNPROVEN:
        return start_proof(i, x, k, done, arg);
    case CLAIM_REFUSED:
        return done(x, NULL, err, arg);
    case CLAIM_GOOD:
    case CLAIM_NONE:
    default:
        return done(x, &who, NULL, arg);
    }
}

/* --- Later --- */

static bool credentials_hold(struct identifier *i, const struct identity *who)
{
    for (size_t k = 0; providers[k]; k++)
        if (providers[k]->holds && !providers[k]->holds(&i->data[k], who))
            return false;
    return true;
}

bool identity_still_holds(struct identifier *i, const struct identity *who)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (!credentials_hold(i, who))
        return false;
    if (who->uid == NULL)
        return true;
    return account_find(i->accounts->store, who->name, arena, &account) && streq(account.uid, who->uid) &&
           account.role == who->role;
}

bool identity_session_valid(struct identifier *i, const char *session_id, bool use)
{
    return accounts_session_valid(i->accounts, session_id, use);
}
