#pragma once

#include <pthread.h>

#include "base/workers.h"
#include "server/auth/accounts.h"
#include "server/auth/auth.h"
#include "server/auth/credentials.h"
#include "server/auth/familiar.h"
#include "server/auth/origin.h"
#include "server/auth/revoked.h"
#include "server/auth/sessions.h"
#include "server/auth/throttle.h"
#include "server/auth/verified.h"

/* What the files of this room share. */
struct auth {
    const struct config *config;
    struct store *store;
    struct workers *workers;
    struct api *api;
    const struct kind *user_kind;

    struct admins *admins;
    struct sessions *sessions;
    struct throttle *throttle;
    struct verified *verified;
    struct revoked *revoked;

    bool secure_cookie;
    struct origin_policy origin;

    pthread_mutex_t setup_lock;
    char *setup_code; /* NULL: none was asked for */
};

/* gateway.md §3, rules 1 to 3, for a request that came through nginx. */
int auth_check_origin(const struct auth *a, struct http_exchange *x, struct error **err) _must_check_;
/* It lasts on. */
void auth_use_session(struct auth *a, struct session *s);
/* X-Real-IP, which nginx sets. */
const char *auth_client_address(const struct http_exchange *x);
/* 429 with the seconds to wait. */
int auth_too_many(struct error **err, unsigned seconds);
/* Whether that user may log in with that password: unknown and known ones take the same time. On success `hash` is what
 * it was verified against (the caller frees). On a worker. */
bool auth_verify_login(struct auth *a, const char *user, const char *password, char **hash);
/* Whether `code` is the one of the set-up link. */
bool auth_is_setup_code(struct auth *a, const char *code);
/* The first administrator exists. */
void auth_setup_done(struct auth *a);
