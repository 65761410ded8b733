#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

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

/* The secrets are random and long: a plain hash is enough to be useless to whoever reads it. */
void session_hash_secret(struct str secret, unsigned char out[static HASH_SIZE]);
/* Its record in the store's secrets: key (the caller frees) and value. NULL: the record is damaged. */
char *session_record_key(const char *user_uid, const char *id);
void session_write_record(struct buffer *b, const struct session *s);
struct session *session_read_record(struct str key, struct str value);
