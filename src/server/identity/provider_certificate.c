/* A client certificate of our own authority, which nginx has verified: the way of kubectl and of administrators. */
#include "base/alloc.h"
#include "server/identity/certificate_identity.h"
#include "server/identity/nginx_headers.h"
#include "server/identity/provider.h"
#include "server/identity/revoked.h"

/* A revocation counts after this at the latest. */
#define LOOK_EVERY_US 20000

static void *open_revoked(struct accounts *accounts)
{
    _cleanup_free_ char *path = xasprintf("%s/pki/revoked", accounts->config->data);

    return revoked_new(path, LOOK_EVERY_US);
}

static void close_revoked(void *own)
{
    revoked_free(own);
}

/* The group system:masters is an administrator, whoever it is; a name without it is the user of that name, or nobody
 * with a name. */
static void identity_be_subject(struct identity *who, const struct subject *subject, const struct provider_data *d,
                                struct arena *arena)
{
    struct account account;

    who->name = subject->common_name;
    if (subject->masters)
        who->role = ROLE_ADMIN;
    else if (account_find(d->accounts->store, subject->common_name, arena, &account))
        identity_be_account(who, &account);
    subject->groups[subject->groups_len] = "system:authenticated";
    who->groups = subject->groups;
}

static enum claim look_certificate(const struct provider_data *d, struct http_exchange *x, struct identity *who,
                                   struct error **err)
{
    struct arena *arena = http_arena(x);
    const char *state = nginx_says_certificate(x);
    const char *dn = http_header(x, "X-Client-Subject"), *hex = http_header(x, "X-Client-Serial");
    const char *serial = hex ? serial_normal(arena, str_from(hex)) : NULL;
    struct subject subject;

    if (state == NULL)
        return CLAIM_NONE;
    if (!streq(state, "SUCCESS") || dn == NULL || serial == NULL || subject_parse(arena, str_from(dn), &subject) < 0 ||
        subject.common_name == NULL) {
        error_set(err, REASON_UNAUTHORIZED, "the client certificate is not valid");
        return CLAIM_REFUSED;
    }
    if (revoked_has(d->own, serial)) {
        error_set(err, REASON_UNAUTHORIZED, "the client certificate has been revoked");
        return CLAIM_REFUSED;
    }
    identity_be_subject(who, &subject, d, arena);
    who->certificate = serial;
    return CLAIM_GOOD;
}

static bool certificate_holds(const struct provider_data *d, const struct identity *who)
{
    return who->certificate == NULL || !revoked_has(d->own, who->certificate);
}

const struct provider provider_certificate = {
    .name = "certificate",
    .open = open_revoked,
    .close = close_revoked,
    .look = look_certificate,
    .holds = certificate_holds,
};
