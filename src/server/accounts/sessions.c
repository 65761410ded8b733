#include "server/accounts/sessions.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"

#define USER_MAX 64 /* sessions of one user: a script that logs in for every call fills nothing */
#define SWEEP_US ((int64_t)60 * 1000000)
#define SWEEP_MAX 1000
#define VALUE_MAX 2048

/* --- All of them in memory --- */

struct sessions {
    pthread_rwlock_t lock;
    struct map *by_token, *by_id; /* the same sessions; by_id holds the reference */
    int64_t swept_us;             /* writer thread alone */
};

static struct str token_key(const struct session *s)
{
    return (struct str){(const char *)s->token, HASH_SIZE};
}

static void forget_session(struct sessions *table, const char *id)
{
    struct session *s = map_remove(table->by_id, str_from(id));

    if (s == NULL)
        return;
    map_remove(table->by_token, token_key(s));
    session_unref(s);
}

static void keep_session(struct sessions *table, struct session *s)
{
    forget_session(table, s->id);
    map_set(table->by_id, str_from(s->id), session_ref(s));
    map_set(table->by_token, token_key(s), s);
}

static bool load_one(void *arg, struct str key, struct str value)
{
    _cleanup_session_ struct session *s = session_read_record(key, value);

    if (s)
        keep_session(arg, s);
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
    map_free(s->by_token, NULL);
    map_free(s->by_id, unref_value);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}

static struct session *find_valid(struct sessions *table, const struct map *map, struct str key, int64_t now_us)
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

    session_hash_secret(token, hash);
    return find_valid(s, s->by_token, (struct str){(const char *)hash, HASH_SIZE}, now_us);
}

struct session *sessions_by_id(struct sessions *s, const char *id, int64_t now_us)
{
    return id ? find_valid(s, s->by_id, str_from(id), now_us) : NULL;
}

/* --- Changes, in memory once they are committed --- */

struct session_change {
    struct sessions *table;
    struct session *session; /* new or changed; NULL: gone */
    char *id;
};

static void free_session_change(void *arg)
{
    struct session_change *c = arg;
    session_unref(c->session);
    free(c->id);
    free(c);
}

static void apply_session_change(void *arg)
{
    const struct session_change *c = arg;

    pthread_rwlock_wrlock(&c->table->lock);
    if (c->session)
        keep_session(c->table, c->session);
    else
        forget_session(c->table, c->id);
    pthread_rwlock_unlock(&c->table->lock);
}

static void change_after_commit(struct store_txn *t, struct sessions *table, struct session *session, const char *id)
{
    struct session_change *c = xcalloc(1, sizeof(*c));

    *c = (struct session_change){table, session ? session_ref(session) : NULL, xstrdup(id)};
    txn_after_commit(t, apply_session_change, c, free_session_change);
}

static void put_session_record(struct store_txn *t, const struct session *s)
{
    _cleanup_free_ char *key = session_record_key(s->user_uid, s->id);
    _cleanup_buffer_ struct buffer value = BUFFER_MAX(VALUE_MAX);

    session_write_record(&value, s);
    txn_secret_put(t, SECRET_SESSION, str_from(key), buffer_str(&value));
}

void sessions_remove(struct sessions *s, struct store_txn *t, const struct session *session)
{
    _cleanup_free_ char *key = session_record_key(session->user_uid, session->id);

    txn_secret_delete(t, SECRET_SESSION, str_from(key));
    change_after_commit(t, s, NULL, session->id);
}

/* --- Use --- */

struct session_use {
    char *key;
    unsigned char token[HASH_SIZE];
    int64_t expires_us;
};

/* It may have ended, or have got other secrets, since. */
static int store_use(struct store_txn *t, void *arg, struct error **err)
{
    const struct session_use *u = arg;
    struct str value = txn_secret(t, SECRET_SESSION, str_from(u->key));
    _cleanup_session_ struct session *s = value.p ? session_read_record(str_from(u->key), value) : NULL;

    if (s == NULL || memcmp(s->token, u->token, HASH_SIZE) != 0)
        return 0;
    s->expires_us = u->expires_us;
    put_session_record(t, s);
    return 0;
}

/* What could not be written is good as long as we run. */
static void use_stored(void *arg, struct error *err)
{
    struct session_use *u = arg;

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
    struct session_use *u = xcalloc(1, sizeof(*u));
    *u = (struct session_use){.key = session_record_key(session->user_uid, session->id), .expires_us = end};
    memcpy(u->token, session->token, HASH_SIZE);
    store_submit(store, store_use, u, use_stored);
}

/* What a new session drives out: expired ones (now and then), and the user's oldest where there are too many. */
struct leaving {
    struct session *sessions[SWEEP_MAX];
    size_t n;
};

static void let_leave(struct leaving *l, struct session *s)
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
            let_leave(l, s);
    }
    if (of_user >= USER_MAX)
        let_leave(l, oldest);
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
            sessions_remove(table, t, l->sessions[i]);
        session_unref(l->sessions[i]);
    }
}

void sessions_put(struct sessions *s, struct store_txn *t, struct session *session)
{
    assert(session->id && session->user_uid && strchr(session->user_uid, '/') == NULL); /* its record's key */
    drive_out(s, t, session);
    put_session_record(t, session);
    change_after_commit(t, s, session, session->id);
}

/* --- Ending those of a user --- */

struct ending {
    const char *user_uid;
    struct session *sessions[USER_MAX * 2];
    size_t n;
};

static bool collect_of_user(void *arg, struct str key, struct str value)
{
    struct ending *e = arg;
    size_t n = strlen(e->user_uid);

    if (key.n <= n || memcmp(key.p, e->user_uid, n) != 0 || key.p[n] != '/')
        return true;
    struct session *s = session_read_record(key, value);
    if (s)
        e->sessions[e->n++] = s;
    return e->n < ARRAY_SIZE(e->sessions);
}

/* The one that is spared: what it said about a well-known password is over. */
static void spare_session(struct sessions *table, struct store_txn *t, struct session *s)
{
    s->well_known_password = false;
    put_session_record(t, s);
    change_after_commit(t, table, s, s->id);
}

static size_t end_some(struct sessions *table, struct store_txn *t, const char *user_uid, const char *spared)
{
    struct ending e = {.user_uid = user_uid};
    size_t ended = 0;

    txn_secret_list(t, SECRET_SESSION, collect_of_user, &e);
    for (size_t i = 0; i < e.n; i++) {
        if (streq(e.sessions[i]->id, spared)) {
            spare_session(table, t, e.sessions[i]);
        } else {
            sessions_remove(table, t, e.sessions[i]);
            ended++;
        }
        session_unref(e.sessions[i]);
    }
    return e.n == ARRAY_SIZE(e.sessions) ? ended : 0;
}

void sessions_end(struct sessions *s, struct store_txn *t, const char *user_uid, const char *spared)
{
    /* As many as fit at a time: a full page that ended any may not have been the last. */
    while (end_some(s, t, user_uid, spared))
        continue;
}
