#include "server/auth/sessions.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "server/auth/auth.h"

#define TOKEN_BYTES 32
#define ID_BYTES 16
#define USER_MAX 64 /* sessions of one user: a script that logs in for every call fills nothing */
#define SWEEP_US ((int64_t)60 * 1000000)
#define SWEEP_MAX 1000
#define VALUE_MAX 2048

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
static void hash_secret(struct str secret, unsigned char out[static HASH_SIZE])
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
    hash_secret(str_from(*token), s->token);
    s->has_key = *key != NULL;
    if (s->has_key)
        hash_secret(str_from(*key), s->key);
    return s;
}

bool session_key_fits(const struct session *s, const char *key)
{
    unsigned char hash[HASH_SIZE];

    if (!s->has_key || key == NULL)
        return false;
    hash_secret(str_from(key), hash);
    return sodium_memcmp(hash, s->key, HASH_SIZE) == 0;
}

/* --- Its record --- */

static char *record_key(const char *user_uid, const char *id)
{
    return xasprintf("%s/%s", user_uid, id);
}

static void add_hash(struct buffer *b, const char *name, const unsigned char hash[static HASH_SIZE])
{
    _cleanup_free_ char *hex = hex_encode(hash, HASH_SIZE);
    buffer_printf(b, ",\"%s\":\"%s\"", name, hex);
}

static void write_record(struct buffer *b, const struct session *s)
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

static struct session *read_record(struct str key, struct str value)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(value, NULL);
    _cleanup_session_ struct session *s = xcalloc(1, sizeof(*s));

    atomic_init(&s->references, 1);
    if (doc == NULL || !fill_from_record(s, key, yyjson_doc_get_root(doc)))
        return NULL;
    return steal_ptr(s);
}

/* --- All of them in memory --- */

struct sessions {
    struct sessions *next; /* of this process */
    pthread_rwlock_t lock;
    struct map *by_token, *by_id; /* the same sessions; by_id holds the reference */
    int64_t swept_us;             /* writer thread alone */
};

/*
 * The ending of sessions is asked for inside a transaction, by hooks that know the store alone, and takes effect in
 * memory after its commit, when this room may be gone already: so the tables of the process are found in a list.
 */
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sessions *tables;

static struct str token_key(const struct session *s)
{
    return (struct str){(const char *)s->token, HASH_SIZE};
}

static void forget(struct sessions *table, const char *id)
{
    struct session *s = map_remove(table->by_id, str_from(id));

    if (s == NULL)
        return;
    map_remove(table->by_token, token_key(s));
    session_unref(s);
}

static void keep(struct sessions *table, struct session *s)
{
    forget(table, s->id);
    map_set(table->by_id, str_from(s->id), session_ref(s));
    map_set(table->by_token, token_key(s), s);
}

static bool load_one(void *arg, struct str key, struct str value)
{
    _cleanup_session_ struct session *s = read_record(key, value);

    if (s)
        keep(arg, s);
    else
        log_warning("a damaged session record is ignored");
    return true;
}

struct sessions *sessions_new(struct store *store)
{
    struct sessions *s = xcalloc(1, sizeof(*s));

    pthread_rwlock_init(&s->lock, NULL);
    s->by_token = map_new();
    s->by_id = map_new();
    store_secret_list(store, SECRET_SESSION, load_one, s);
    LOCK_SCOPE(&tables_lock);
    s->next = tables;
    tables = s;
    return s;
}

static void unref_value(void *s)
{
    session_unref(s);
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&tables_lock);
    struct sessions **at = &tables;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    pthread_mutex_unlock(&tables_lock);
    map_free(s->by_token, NULL);
    map_free(s->by_id, unref_value);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}

static struct session *find(struct sessions *table, const struct map *map, struct str key, int64_t now_us)
{
    pthread_rwlock_rdlock(&table->lock);
    struct session *s = map_get(map, key);
    s = s && s->expires_us > now_us ? session_ref(s) : NULL;
    pthread_rwlock_unlock(&table->lock);
    return s;
}

struct session *sessions_by_token(struct sessions *s, struct str token, int64_t now_us)
{
    unsigned char hash[HASH_SIZE];

    hash_secret(token, hash);
    return find(s, s->by_token, (struct str){(const char *)hash, HASH_SIZE}, now_us);
}

struct session *sessions_by_id(struct sessions *s, const char *id, int64_t now_us)
{
    return find(s, s->by_id, str_from(id), now_us);
}

/* --- Changes, in memory once they are committed --- */

struct change {
    struct sessions *table;  /* NULL: whichever knows it */
    struct session *session; /* new or changed; NULL: gone */
    char *id;
};

static void free_change(void *arg)
{
    struct change *c = arg;
    session_unref(c->session);
    free(c->id);
    free(c);
}

static bool concerns(const struct change *c, const struct sessions *table)
{
    return c->table ? c->table == table : map_get(table->by_id, str_from(c->id)) != NULL;
}

static void apply_change(void *arg)
{
    const struct change *c = arg;

    LOCK_SCOPE(&tables_lock);
    for (struct sessions *table = tables; table; table = table->next) {
        pthread_rwlock_wrlock(&table->lock);
        if (concerns(c, table) && c->session)
            keep(table, c->session);
        else if (concerns(c, table))
            forget(table, c->id);
        pthread_rwlock_unlock(&table->lock);
    }
}

static void after_commit(struct store_txn *t, struct sessions *table, struct session *session, const char *id)
{
    struct change *c = xcalloc(1, sizeof(*c));

    *c = (struct change){table, session ? session_ref(session) : NULL, xstrdup(id)};
    txn_after_commit(t, apply_change, c, free_change);
}

static void put_record(struct store_txn *t, const struct session *s)
{
    _cleanup_free_ char *key = record_key(s->user_uid, s->id);
    _cleanup_buffer_ struct buffer value = BUFFER_MAX(VALUE_MAX);

    write_record(&value, s);
    txn_secret_put(t, SECRET_SESSION, str_from(key), buffer_str(&value));
}

void sessions_remove(struct store_txn *t, const struct session *session)
{
    _cleanup_free_ char *key = record_key(session->user_uid, session->id);

    txn_secret_delete(t, SECRET_SESSION, str_from(key));
    after_commit(t, NULL, NULL, session->id);
}

/* --- Use --- */

struct use {
    char *key;
    unsigned char token[HASH_SIZE];
    int64_t expires_us;
};

/* It may have ended, or have got other secrets, since. */
static int store_use(struct store_txn *t, void *arg, struct error **err)
{
    const struct use *u = arg;
    struct str value = txn_secret(t, SECRET_SESSION, str_from(u->key));
    _cleanup_session_ struct session *s = value.p ? read_record(str_from(u->key), value) : NULL;

    if (s == NULL || memcmp(s->token, u->token, HASH_SIZE) != 0)
        return 0;
    s->expires_us = u->expires_us;
    put_record(t, s);
    return 0;
}

/* What could not be written is good as long as we run. */
static void use_stored(void *arg, struct error *err)
{
    struct use *u = arg;

    error_free(err);
    free(u->key);
    free(u);
}

void sessions_use(struct store *store, struct session *session, const struct session_life *life, int64_t now_us)
{
    const int64_t second = 1000000;
    int64_t ceiling = session->created_us + life->longest * second, end = now_us + life->seconds * second;
    int64_t present = atomic_load(&session->expires_us);

    if (end > ceiling)
        end = ceiling;
    /* Of many requests at once one is it. */
    if (end - present < life->seconds * second / 10 ||
        !atomic_compare_exchange_strong(&session->expires_us, &present, end))
        return;
    struct use *u = xcalloc(1, sizeof(*u));
    *u = (struct use){.key = record_key(session->user_uid, session->id), .expires_us = end};
    memcpy(u->token, session->token, HASH_SIZE);
    store_submit(store, store_use, u, use_stored);
}

/* What a new session drives out: expired ones (now and then), and the user's oldest where there are too many. */
struct leaving {
    struct session *sessions[SWEEP_MAX];
    size_t n;
};

static void leave(struct leaving *l, struct session *s)
{
    if (l->n < SWEEP_MAX)
        l->sessions[l->n++] = session_ref(s);
}

static void find_leaving(struct sessions *table, const struct session *new, bool sweep, struct leaving *l)
{
    struct session *oldest = NULL;
    size_t of_user = 0, at = 0;
    struct str key;
    void *value;

    pthread_rwlock_rdlock(&table->lock);
    while (map_next(table->by_id, &at, &key, &value)) {
        struct session *s = value;
        if (strcmp(s->user_uid, new->user_uid) == 0) {
            of_user++;
            if (oldest == NULL || s->created_us < oldest->created_us)
                oldest = s;
        }
        if (sweep && s->expires_us <= new->created_us)
            leave(l, s);
    }
    if (of_user >= USER_MAX)
        leave(l, oldest);
    pthread_rwlock_unlock(&table->lock);
}

static void drive_out(struct sessions *table, struct store_txn *t, const struct session *new)
{
    _cleanup_free_ struct leaving *l = xcalloc(1, sizeof(*l));
    bool sweep = new->created_us - table->swept_us >= SWEEP_US;

    if (sweep)
        table->swept_us = new->created_us;
    find_leaving(table, new, sweep, l);
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->sessions[i]->id, new->id) != 0)
            sessions_remove(t, l->sessions[i]);
        session_unref(l->sessions[i]);
    }
}

void sessions_put(struct sessions *s, struct store_txn *t, struct session *session)
{
    drive_out(s, t, session);
    put_record(t, session);
    after_commit(t, s, session, session->id);
}

/* --- Ending those of a user --- */

struct ending {
    const char *user_uid;
    struct session *sessions[USER_MAX * 2];
    size_t n;
};

static bool collect(void *arg, struct str key, struct str value)
{
    struct ending *e = arg;
    size_t n = strlen(e->user_uid);

    if (key.n <= n || memcmp(key.p, e->user_uid, n) != 0 || key.p[n] != '/')
        return true;
    struct session *s = read_record(key, value);
    if (s)
        e->sessions[e->n++] = s;
    return e->n < ARRAY_SIZE(e->sessions);
}

/* The one that is spared: what it said about a well-known password is over. */
static void spare(struct store_txn *t, struct session *s)
{
    s->well_known_password = false;
    put_record(t, s);
    after_commit(t, NULL, s, s->id);
}

static size_t end_some(struct store_txn *t, const char *user_uid, const char *spared)
{
    struct ending e = {.user_uid = user_uid};
    size_t ended = 0;

    txn_secret_list(t, SECRET_SESSION, collect, &e);
    for (size_t i = 0; i < e.n; i++) {
        if (streq(e.sessions[i]->id, spared)) {
            spare(t, e.sessions[i]);
        } else {
            sessions_remove(t, e.sessions[i]);
            ended++;
        }
        session_unref(e.sessions[i]);
    }
    return e.n == ARRAY_SIZE(e.sessions) ? ended : 0;
}

void auth_end_sessions(struct store_txn *t, const char *user_uid, const char *spared_session)
{
    /* As many as fit at a time: a full page that ended any may not have been the last. */
    while (end_some(t, user_uid, spared_session))
        continue;
}
