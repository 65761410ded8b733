#include "server/accounts/session.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/random.h"

#define TOKEN_BYTES 32
#define ID_BYTES 16

/* --- One session --- */

struct session *session_ref(struct session *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void session_unref(struct session *s)
{
    if (s == NULL || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    free(s->id);
    free(s->user_uid);
    free(s->user_name);
    free(s);
}

/* The secrets are random and long: a plain hash is enough to be useless to whoever reads it. */
void session_hash_secret(struct str secret, unsigned char out[static HASH_SIZE])
{
    crypto_generichash(out, HASH_SIZE, (const unsigned char *)secret.p, secret.n, NULL, 0);
}

struct session *session_new(const struct session_options *o, char **token, char **key)
{
    struct session *s = xcalloc(1, sizeof(*s));

    atomic_init(&s->references, 1);
    s->id = o->id ? xstrdup(o->id) : random_token(ID_BYTES);
    s->user_uid = xstrdup(o->user_uid);
    s->user_name = xstrdup(o->user_name);
    s->created_us = o->now_us;
    s->expires_us = o->now_us + (int64_t)o->seconds * 1000000;
    s->well_known_password = o->well_known_password;
    *token = random_token(TOKEN_BYTES);
    *key = o->bearer ? NULL : random_token(TOKEN_BYTES);
    session_hash_secret(str_from(*token), s->token);
    s->has_key = *key != NULL;
    if (s->has_key)
        session_hash_secret(str_from(*key), s->key);
    return s;
}

bool session_key_fits(const struct session *s, const char *key)
{
    unsigned char hash[HASH_SIZE];

    if (!s->has_key || key == NULL)
        return false;
    session_hash_secret(str_from(key), hash);
    return sodium_memcmp(hash, s->key, HASH_SIZE) == 0;
}

/* --- Its record --- */

char *session_record_key(const char *user_uid, const char *id)
{
    return xasprintf("%s/%s", user_uid, id);
}

static void add_hash(struct buffer *b, const char *name, const unsigned char hash[static HASH_SIZE])
{
    _cleanup_free_ char *hex = hex_encode(hash, HASH_SIZE);
    buffer_printf(b, ",\"%s\":\"%s\"", name, hex);
}

void session_write_record(struct buffer *b, const struct session *s)
{
    buffer_puts(b, "{\"user\":");
    buffer_json_string(b, str_from(s->user_name));
    add_hash(b, "token", s->token);
    if (s->has_key)
        add_hash(b, "key", s->key);
    buffer_printf(b, ",\"created\":%lld,\"expires\":%lld,\"wellKnownPassword\":%s}", (long long)s->created_us,
                  (long long)s->expires_us, s->well_known_password ? "true" : "false");
}

static bool read_hash(yyjson_val *v, const char *name, unsigned char out[static HASH_SIZE])
{
    const char *hex = json_str_at(v, name);
    size_t n;

    return hex && sodium_hex2bin(out, HASH_SIZE, hex, strlen(hex), NULL, &n, NULL) == 0 && n == HASH_SIZE;
}

static bool fill_from_record(struct session *s, struct str key, yyjson_val *v)
{
    struct str id = key, uid = {0};
    const char *user = json_str_at(v, "user");

    if (!str_split(&id, '/', &uid) || uid.n == 0 || id.n == 0 || user == NULL || !read_hash(v, "token", s->token))
        return false;
    s->has_key = json_at(v, "key") != NULL;
    if (s->has_key && !read_hash(v, "key", s->key))
        return false;
    s->id = xstrndup(id.p, id.n);
    s->user_uid = xstrndup(uid.p, uid.n);
    s->user_name = xstrdup(user);
    s->created_us = json_int_at(v, "created", 0);
    s->expires_us = json_int_at(v, "expires", 0);
    s->well_known_password = json_bool_at(v, "wellKnownPassword", false);
    return true;
}

struct session *session_read_record(struct str key, struct str value)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(value, NULL);
    _cleanup_session_ struct session *s = xcalloc(1, sizeof(*s));

    atomic_init(&s->references, 1);
    if (doc == NULL || !fill_from_record(s, key, yyjson_doc_get_root(doc)))
        return NULL;
    return steal_ptr(s);
}
