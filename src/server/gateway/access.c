#include "server/gateway/access.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "kinds/names.h"
#include "kinds/user.h"
#include "server/accounts/password.h"
#include "server/gateway/client.h"
#include "server/gateway/room.h"

/* Of a pass that hangs on no session and no password: a client certificate's. */
#define UNBOUND_SECONDS 3600

/* Changes with the user's password, and tells nothing of it. */
static pass_mark password_mark(struct gateway *g, const struct object *user)
{
    size_t n;
    char *hash = store_secret(g->store, SECRET_PASSWORD, str_from(user->uid), &n);

    if (hash == NULL)
        return 0;
    _cleanup_free_ char *text = hex_encode(hash, n);
    pass_mark mark = pass_mark_of(&g->keys, text);
    sodium_memzero(text, 2 * n);
    sodium_memzero(hash, n);
    free(hash);
    return mark;
}

static bool is_administrator(const struct object *user)
{
    struct user u;
    _cleanup_json_ yyjson_doc *doc = json_parse(user->json, NULL);

    if (doc == NULL)
        return false;
    user_read(yyjson_doc_get_root(doc), &u);
    return u.role == ROLE_ADMIN && !u.deleting;
}

static pass_mark client_of(struct gateway *g, const struct gateway_request *r)
{
    const struct peer peer = {r->peer_address, r->own_address, r->peer_port, r->own_port};
    return client_mark(&g->keys, r, peers_uid(g->peers, &peer));
}

/* The user is the one that it was, is still logged in, and may still open this. */
static bool user_allowed(struct gateway *g, const struct pass *p, const struct port_device *d, bool work)
{
    _cleanup_object_ struct object *user = store_get(g->store, PLURAL_USERS, str_from(p->user));

    if (user == NULL || pass_mark_of(&g->keys, user->uid) != p->user_uid)
        return false;
    if (!streq(p->user, d->owner) && !is_administrator(user))
        return false;
    return p->session[0] ? identity_session_valid(g->identifier, p->session, work)
                         : p->password == password_mark(g, user);
}

static bool certificate_allowed(struct gateway *g, const struct pass *p)
{
    const struct identity who = {.role = ROLE_ADMIN, .certificate = p->session};

    return p->role == ROLE_ADMIN && identity_still_holds(g->identifier, &who);
}

bool access_allowed(struct gateway *g, const struct pass *p, const struct port_device *d, const struct access *at)
{
    if (p->port != at->port || p->device != pass_mark_of(&g->keys, d->uid) || p->expires_us <= at->now_us)
        return false;
    return p->user_uid ? user_allowed(g, p, d, at->work) : certificate_allowed(g, p);
}

bool access_by_cookie(struct gateway *g, const struct gateway_request *r, const struct port_device *d, int64_t now_us,
                      struct arena *arena, struct pass *out)
{
    const struct access at = {r->port, now_us, is_work(r)};
    pass_mark client = client_of(g, r);
    struct str cookies = r->cookie;

    while (pass_next(arena, &g->keys, &cookies, g->site.secure_cookie, r->port, out) == 0)
        if (pass_fits_client(out, client) && access_allowed(g, out, d, &at))
            return true;
    return false;
}

static pass_mark owner_mark(struct gateway *g, const struct port_device *d)
{
    _cleanup_object_ struct object *owner = d->owner ? store_get(g->store, PLURAL_USERS, str_from(d->owner)) : NULL;
    return owner ? pass_mark_of(&g->keys, owner->uid) : 0;
}

bool access_seen_before(struct gateway *g, const struct gateway_request *r, const struct port_device *d,
                        struct arena *arena)
{
    pass_mark owner = owner_mark(g, d);
    struct str cookies = r->cookie;
    struct pass p;

    /* A port changes hands only when a user is deleted, and a uid never comes back. */
    while (pass_next(arena, &g->keys, &cookies, g->site.secure_cookie, r->port, &p) == 0)
        if (owner && p.owner == owner)
            return true;
    return false;
}

static pass_mark password_of(struct gateway *g, const struct identity *who)
{
    _cleanup_object_ struct object *user = store_get(g->store, PLURAL_USERS, str_from(who->name));
    return user && streq(user->uid, who->uid) ? password_mark(g, user) : 0;
}

static const char *session_of(const struct identity *who)
{
    if (who->uid == NULL)
        return who->certificate ? who->certificate : "";
    return who->session ? who->session : "";
}

/* A session ends by itself. */
static int64_t longest(const struct gateway *g, const struct identity *who)
{
    if (who->uid == NULL)
        return UNBOUND_SECONDS;
    return who->session ? UINT32_MAX / 2 : g->config->session_seconds;
}

/* As far as a browser that came before has the same way in, from another address. */
void access_bind(struct gateway *g, const struct gateway_request *r, int64_t now_us, struct arena *arena,
                 struct pass *p)
{
    struct str cookies = r->cookie;
    struct pass held;

    while (pass_next(arena, &g->keys, &cookies, g->site.secure_cookie, r->port, &held) == 0)
        if (held.device == p->device && held.user_uid == p->user_uid && streq(held.session, p->session) &&
            held.expires_us > now_us) {
            memcpy(p->clients, held.clients, sizeof(p->clients));
            break;
        }
    pass_add_client(p, client_of(g, r));
}

int access_make(struct gateway *g, const struct identity *who, const struct port_device *d, uint16_t port,
                int64_t now_us, struct pass *out, struct error **err)
{
    bool is_owner = d->owner && streq(who->name, d->owner);
    int64_t seconds = longest(g, who);

    if (who->role != ROLE_ADMIN && !(who->role == ROLE_USER && is_owner && who->uid))
        return error_set(err, REASON_FORBIDDEN, "device \"%s\" is not yours", d->name);
    *out = (struct pass){
        .device = pass_mark_of(&g->keys, d->uid),
        .owner = owner_mark(g, d),
        .user = who->name,
        .user_uid = pass_mark_of(&g->keys, who->uid),
        .session = session_of(who),
        .password = who->uid && !who->session ? password_of(g, who) : 0,
        .role = (uint8_t)who->role,
        .port = port,
        .expires_us = now_us + (PASS_SECONDS < seconds ? PASS_SECONDS : seconds) * 1000000,
        .ends_us = now_us + seconds * 1000000,
    };
    return 0;
}
