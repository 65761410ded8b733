#pragma once

#include "base/workers.h"
#include "config/config.h"
#include "server/accounts/sessions.h"
#include "server/accounts/setup_code.h"
#include "server/accounts/throttle.h"
#include "server/accounts/users.h"

/*
 * Who may log in, and who has: users, their passwords and sessions, and how guessing is slowed. It knows no HTTP: who
 * sent a request is server/identity's matter, what a browser calls to log in server/auth's.
 */
struct accounts {
    const struct config *config;
    struct store *store;
    struct workers *workers; /* where passwords are hashed */
    struct admins *admins;
    struct sessions *sessions;
    struct throttle *throttle;
    struct setup_code *setup_code;
};
struct accounts *accounts_new(const struct config *config, struct store *store, struct workers *workers);
/* After the store was closed: what its last commits end is in memory until then. */
void accounts_free(struct accounts *a);

/* A cookie that plain HTTP may not carry is what all browsers get that come by TLS, or from this machine. */
bool accounts_secure_cookies(const struct accounts *a);
/* The hash of a user's password; the caller frees. NULL: there is no such user, or none with a password. */
char *accounts_password_of(struct accounts *a, const char *user);
/* Whether that user may log in with that password: unknown and known ones take the same time. On success `hash` is what
 * it was verified against (the caller frees). On a worker. */
bool accounts_verify_password(struct accounts *a, const char *user, const char *password, char **hash);
/* Somebody works with it, so that it lasts on. */
void accounts_use_session(struct accounts *a, struct session *s);
/* Whether the session with that id is still that of a user; `use`: somebody works with it. */
bool accounts_session_valid(struct accounts *a, const char *session_id, bool use);

/* Where no user of role 1 exists, and who one is is asked at all: a one-use code for /setup?code=… (valid until an
 * administrator exists or the server restarts). NULL elsewhere. The caller frees. */
char *accounts_setup_code(struct accounts *a);
