#pragma once

#include "config/config.h"
#include "http/http.h"
#include "server/api/api.h"
#include "server/store/store.h"

/* Who is it, and may they. */
enum role { ROLE_NONE = 0, ROLE_ADMIN = 1, ROLE_USER = 2, ROLE_RUNNER = 100 };
/* Who creates the first administrator by the set-up link; the password follows in the same transaction. */
#define SETUP_USER "system:setup"

struct auth;
struct auth *auth_new(const struct config *config, struct store *store, struct workers *workers);
/* After the HTTP servers have stopped and the workers have ended. */
void auth_free(struct auth *a);
/* Known only after api_new, which needs the hooks, which need auth. For the set-up of the first administrator both are
 * needed: the kind is the very one of the users that api was given. */
void auth_set_api(struct auth *a, struct api *api);
void auth_set_user_kind(struct auth *a, const struct kind *users);

/* Finds out who sent a request, from: the listener's role (runner.sock is the runner), the client certificate that
 * nginx verified (only on gateway.sock), Authorization: Bearer, session cookie with its key, Open-Hydra-Auth,
 * disableAuth; and refuses foreign origins (gateway.md §3, rules 1–3 with the dashboard's origin). Calls done once,
 * perhaps on a worker thread: err NULL and who set (name "system:anonymous", role ROLE_NONE without any credentials),
 * or err, which done must free. */
typedef void auth_done(struct http_exchange *x, const struct identity *who, struct error *err, void *arg);
void auth_identify(struct auth *a, struct http_exchange *x, auth_done *done, void *arg);

/* The same without any work: for what is decided before a request's body is read. 1: that is who it is; 0: a password
 * has to be looked at first. */
int auth_peek(struct auth *a, struct http_exchange *x, struct identity *who, struct error **err) _must_check_;

/* The table of roles. */
enum verdict auth_authorize(const struct identity *who, const struct attributes *what);
/* Those who have a share of everything kept for them (server/api/flow.h). */
bool auth_is_reserved(const struct identity *who);

/* /auth/…: docs/dashboard-api.md. Answers or defers. */
bool auth_owns(struct str path);
void auth_handle(struct auth *a, struct http_exchange *x);

/* For the gateway («who opens this environment»): whether the session with that id is still valid. `use`: somebody
 * works with it, so that it lasts on. */
bool auth_session_valid(struct auth *a, const char *session_id, bool use);
/* Whether a client certificate's serial number is not revoked. */
bool auth_certificate_valid(struct auth *a, const char *serial);
/* Whether somebody identified earlier would still be the same: session not ended, certificate not revoked, user there
 * in the same role. */
bool auth_still_holds(struct auth *a, const struct identity *who);

/* Passwords, for the user kind's hooks (worker threads). The hash is libsodium's string form. */
char *password_hash(const char *password); /* the caller frees; wiped copies */
/* Without a hash (unknown user, user without a password): takes the same time, and says no. */
bool password_verify(const char *hash, const char *password);
/* One rule for all passwords: at least 8 characters, at most 1,024 bytes, no control characters. What somebody chooses
 * for himself (set-up, /auth/password) is not the well-known one either; an administrator may give it, as the seed
 * does: it is asked to be changed at the login. Adds a cause for `field` otherwise. */
int password_check(const char *password, const char *field, struct error **err) _must_check_;
int password_check_given(const char *password, const char *field, struct error **err) _must_check_;
/* Of deploy/user-admin.yaml: accepted, and the session says so. */
#define WELL_KNOWN_PASSWORD "openhydra"
/* Secret scopes: "password" (key: user uid → hash). */
#define SECRET_PASSWORD "password"
/* Ends all sessions of a user, but the one given (NULL: none is spared); in the transaction that changes the password
 * or deletes the user. */
void auth_end_sessions(struct store_txn *t, const char *user_uid, const char *spared_session);

/* Where no user of role 1 exists: a one-use code for /setup?code=… (valid until an administrator exists or the server
 * restarts). NULL where there is an administrator. The caller frees. */
char *auth_setup_code(struct auth *a);
