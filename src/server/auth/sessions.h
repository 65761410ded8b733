#pragma once

#include <stdatomic.h>

#include "base/secret.h"
#include "server/store/store.h"

#define SECRET_SESSION "session" /* key: user uid/session id → JSON, with hashes alone */
#define HASH_SIZE 32

/* A login: of a browser (cookie and storage key) or of a script (bearer token, no key). Immutable but for its end, and
 * reference-counted. */
struct session {
    atomic_uint references;
    char *id, *user_uid, *user_name;
    unsigned char token[HASH_SIZE], key[HASH_SIZE]; /* hashes: who reads the database can't use a session */
    bool has_key;
    int64_t created_us;
    _Atomic int64_t expires_us;
    bool well_known_password;
};
struct session *session_ref(struct session *s);
void session_unref(struct session *s);
static inline void cleanup_sessionp(struct session **s)
{
    session_unref(*s);
}
#define _cleanup_session_ _cleanup_(cleanup_sessionp)

struct session_options {
    const char *id; /* NULL: a new one */
    const char *user_uid, *user_name;
    bool bearer, well_known_password;
    int64_t now_us;
    unsigned seconds;
};
/* Makes one, with its secrets, which exist nowhere else (the caller frees with secret_free; key NULL for a bearer's).
 */
struct session *session_new(const struct session_options *options, char **token, char **key);
bool session_key_fits(const struct session *s, const char *key);

/* All of them, in memory and in the store's secrets. */
struct sessions;
struct sessions *sessions_new(struct store *store);
void sessions_free(struct sessions *s);
/* A reference, or NULL where there is none that is still valid. */
struct session *sessions_by_token(struct sessions *s, struct str token, int64_t now_us);
struct session *sessions_by_id(struct sessions *s, const char *id, int64_t now_us);
/* In a transaction; valid (or gone) in memory once that is committed. An earlier one with that id is replaced. The
 * oldest of a user who has very many, and expired ones of anybody, go meanwhile. */
void sessions_put(struct sessions *s, struct store_txn *t, struct session *session);
void sessions_remove(struct store_txn *t, const struct session *session);

/* How long one lives: unused, and at all. */
struct session_life {
    unsigned seconds, longest;
};
/* It is being used: its end moves. Written down once in a tenth of its life, so that a restart forgets no more. */
void sessions_use(struct store *store, struct session *session, const struct session_life *life, int64_t now_us);
