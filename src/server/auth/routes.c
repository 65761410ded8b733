#include <sodium.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "server/auth/attempt.h"
#include "server/auth/cookie.h"
#include "server/auth/names.h"
#include "server/auth/password.h"
#include "server/auth/room.h"

/* /auth/…: the calls about the session itself (docs/dashboard-api.md). */

#define REPLY_MAX 4096
#define NAME_MAX_BYTES 63

/* --- Answers --- */

/* What a Session answer says; NULL: nobody. The secrets are there where the session is new. */
struct session_view {
    const struct account *account;
    const struct session *session;           /* NULL: known by other means (certificate, password header) */
    const struct familiar_account *familiar; /* whom the browser is to remember; or NULL */
    const char *token, *key;
};

static void add_string(struct buffer *b, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buffer_printf(b, ",\"%s\":", name);
    buffer_json_string(b, str_from(value));
}

static void add_session(struct buffer *b, const struct session *s)
{
    char expires[TIMESTAMP_SIZE];

    timestamp(expires, s->expires_us);
    add_string(b, "expirationTimestamp", expires);
    if (s->well_known_password)
        buffer_puts(b, ",\"wellKnownPassword\":true");
    else
        buffer_puts(b, ",\"wellKnownPassword\":false");
}

static void write_session(struct auth *a, struct arena *arena, struct buffer *b, const struct session_view *v)
{
    struct account admin;
    bool disabled = a->config->disable_auth;

    buffer_printf(b, "{\"authenticated\":%s,\"setupRequired\":%s,\"authDisabled\":%s", v ? "true" : "false",
                  !disabled && !admins_first(a->admins, arena, &admin) ? "true" : "false", disabled ? "true" : "false");
    if (v) {
        add_string(b, "username", v->account->name);
        add_string(b, "chineseName", v->account->chinese_name);
        buffer_printf(b, ",\"role\":%d", v->account->role);
        if (v->session)
            add_session(b, v->session);
        add_string(b, "key", v->key);
        if (v->session && !v->session->has_key)
            add_string(b, "token", v->token);
    }
    buffer_puts(b, "}\n");
}

static void set_cookie(const struct auth *a, struct http_exchange *x, const char *token)
{
    _cleanup_buffer_ struct buffer cookie = BUFFER_MAX(512);

    /* It may last so long: when it ends is the session's matter. */
    const struct config *c = a->config;
    cookie_write(&cookie, a->secure_cookie, token,
                 c->session_max_seconds > c->session_seconds ? c->session_max_seconds : c->session_seconds);
    http_add_header(x, "Set-Cookie", cookie.p);
}

static void reply_session(struct auth *a, struct http_exchange *x, unsigned status, const struct session_view *v)
{
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(REPLY_MAX);

    write_session(a, http_arena(x), &body, v);
    if (v && v->token && v->session->has_key)
        set_cookie(a, x, v->token);
    if (v && v->familiar)
        familiar_remember(a, x, v->familiar);
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, status, "application/json", buffer_str(&body));
}

static void reply_error(struct http_exchange *x, struct error *err)
{
    http_add_header(x, "Cache-Control", "no-store");
    api_reply_error(x, err);
}

static void reply_busy(struct http_exchange *x, unsigned seconds)
{
    struct error *err = NULL;
    auth_too_many(&err, seconds);
    reply_error(x, err);
}

/* --- Bodies --- */

static void wipe_strings(yyjson_val *v)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach (v, i, n, key, value)
        if (yyjson_is_str(value))
            sodium_memzero((char *)(uintptr_t)yyjson_get_str(value), yyjson_get_len(value));
}

/* A string of the body; required ones may not be absent, nor hold NUL. */
static int take_string(yyjson_val *v, const char *name, char **out, struct error **err)
{
    yyjson_val *value = yyjson_obj_get(v, name);
    const char *text = yyjson_get_str(value);

    if (text == NULL)
        return error_add_cause(err, name, "FieldValueRequired", "is required, as a string");
    if (strlen(text) != yyjson_get_len(value) || yyjson_get_len(value) > PASSWORD_MAX)
        return error_add_cause(err, name, "FieldValueInvalid", "is too long or holds a NUL");
    *out = xstrdup(text);
    return 0;
}

/* One slow call on its way: from the event thread to a worker, with what its body said. */
struct call {
    struct auth *auth;
    struct http_exchange *x;
    struct attempt attempt;
    char *user, *password, *new_password, *chinese_name;
    bool bearer;
    char *uid, *session_id; /* who changes a password */

    /* made on the way */
    char *hash, *new_hash;
    struct session *session;
    char *token, *key;
};

static struct call *call_new(struct auth *a, struct http_exchange *x)
{
    struct call *c = xcalloc(1, sizeof(*c));
    c->auth = a;
    c->x = x;
    return c;
}

static void call_free(struct call *c)
{
    attempt_clear(&c->attempt);
    free(c->user);
    secret_free(c->password);
    secret_free(c->new_password);
    free(c->chinese_name);
    free(c->uid);
    free(c->session_id);
    free(c->hash);
    free(c->new_hash);
    session_unref(c->session);
    secret_free(c->token);
    secret_free(c->key);
    free(c);
}

static void fail(struct call *c, struct error *err)
{
    reply_error(c->x, err);
    call_free(c);
}

static void start(struct call *c, void (*work)(void *))
{
    const struct work call = {.fn = work, .arg = c, .owner = auth_client_address(c->x)};

    if (workers_submit(c->auth->workers, &call) == 0)
        return;
    reply_busy(c->x, 1);
    call_free(c);
}

static void drop(void *arg)
{
    struct call *c = arg;
    reply_busy(c->x, 1);
    call_free(c);
}

/* One that tries a password. */
static void start_attempt(struct call *c, void (*work)(void *))
{
    unsigned wait = attempt_start(c->auth, &c->attempt, work, drop, c);

    if (wait == 0)
        return;
    reply_busy(c->x, wait);
    call_free(c);
}

static yyjson_doc *read_body(struct http_exchange *x, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(http_body(x), err);

    if (doc == NULL)
        return NULL;
    if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        error_set(err, REASON_BAD_REQUEST, "the body must be a JSON object");
        return NULL;
    }
    return steal_ptr(doc);
}

/* As pasted. */
static void trim_password(char **password)
{
    char *typed = *password;

    *password = typed ? login_password(typed) : NULL;
    secret_free(typed);
}

/* Reads the body's strings: with `names` ended by NULL and their places. Returns -1 with all causes. */
struct wanted {
    const char *name;
    char **place;
};
static int read_strings(yyjson_val *body, const struct wanted *wanted, struct error **err)
{
    int result = 0;

    for (; wanted->name; wanted++)
        if (take_string(body, wanted->name, wanted->place, err) < 0)
            result = -1;
    return result;
}

/* --- GET /auth/session --- */

static void show_session(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;
    struct account account = {0};

    error_free(err); /* bad credentials: nobody, which is what is asked */
    if (who == NULL || who->role == ROLE_NONE)
        return reply_session(a, x, 200, NULL);
    _cleanup_session_ struct session *s =
        who->session ? sessions_by_id(a->sessions, who->session, clock_realtime_us()) : NULL;
    if (who->uid == NULL || !account_find(a->store, who->name, http_arena(x), &account))
        account = (struct account){.role = who->role}; /* no user: it has no environment of its own */
    const struct session_view v = {.account = &account, .session = s};
    reply_session(a, x, 200, &v);
}

static void session(struct auth *a, struct http_exchange *x)
{
    auth_identify(a, x, show_session, a);
}

/* --- POST /auth/login --- */

static void make_session(struct call *c, const struct account *account, const char *id)
{
    const struct session_options options = {
        .id = id,
        .user_uid = account->uid,
        .user_name = account->name,
        .bearer = c->bearer,
        .well_known_password = streq(c->new_password ? c->new_password : c->password, WELL_KNOWN_PASSWORD),
        .now_us = clock_realtime_us(),
        .seconds = c->auth->config->session_seconds,
    };
    c->session = session_new(&options, &c->token, &c->key);
}

static int wrong_login(struct error **err)
{
    return error_set(err, REASON_UNAUTHORIZED, "the user name or the password is wrong");
}

/* The user may have been deleted, or the password changed, while this one was being verified. */
static int check_unchanged(struct store_txn *t, const struct call *c, struct arena *arena, struct account *out,
                           struct error **err)
{
    if (!account_find_in_txn(t, c->user, arena, out))
        return wrong_login(err);
    struct str hash = txn_secret(t, SECRET_PASSWORD, str_from(out->uid));
    return str_equal(hash, str_from(c->hash)) ? 0 : wrong_login(err);
}

static int store_login(struct store_txn *t, void *arg, struct error **err)
{
    struct call *c = arg;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (check_unchanged(t, c, arena, &account, err) < 0)
        return -1;
    make_session(c, &account, NULL);
    sessions_put(c->auth->sessions, t, c->session);
    familiar_prepare(t);
    return 0;
}

/* The answer to a call that has made a session. */
static void reply_new_session(struct call *c, unsigned status)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (account_find(c->auth->store, c->user, arena, &account)) {
        const struct familiar_account familiar = {account.uid, c->new_hash ? c->new_hash : c->hash};
        const struct session_view v = {&account, c->session, c->bearer ? NULL : &familiar, c->token, c->key};
        reply_session(c->auth, c->x, status, &v);
    } else {
        reply_session(c->auth, c->x, 200, NULL); /* deleted a moment ago */
    }
    call_free(c);
}

/* Names of users alone: what is no user's name may be a password in the wrong field. */
static void log_failure(const struct call *c)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (account_find(c->auth->store, c->user, arena, &account))
        log_info("login of %s from %s failed", account.name, c->attempt.address);
    else
        log_info("login of an unknown user from %s failed", c->attempt.address);
}

static void do_login(void *arg)
{
    struct call *c = arg;
    struct auth *a = c->auth;
    struct error *err = NULL;

    if (!auth_verify_login(a, c->user, c->password, &c->hash)) {
        log_failure(c);
        wrong_login(&err);
        return fail(c, err);
    }
    attempt_succeeded(a, &c->attempt);
    if (store_run(a->store, store_login, c, &err) < 0)
        return fail(c, err);
    if (c->session->well_known_password)
        log_warning("\"%s\" has logged in with the well-known password", c->user);
    reply_new_session(c, 200);
}

/* Takes the text. */
static char *name_from(char *typed)
{
    char *name = login_name(typed);
    free(typed);
    return name;
}

static int read_login(struct call *c, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = read_body(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct wanted wanted[] = {{"username", &c->user}, {"password", &c->password}, {0}};

    if (doc == NULL)
        return -1;
    int result = read_strings(body, wanted, err);
    c->bearer = json_bool_at(body, "bearer", false);
    wipe_strings(body);
    trim_password(&c->password);
    if (result == 0)
        c->user = name_from(c->user);
    return result;
}

static void login(struct auth *a, struct http_exchange *x)
{
    struct call *c = call_new(a, x);
    struct error *err = NULL;

    if (read_login(c, &err) < 0)
        return fail(c, err);
    attempt_init(&c->attempt, a, x, c->user);
    start_attempt(c, do_login);
}

/* --- POST /auth/logout --- */

static int store_logout(struct store_txn *t, void *arg, struct error **err)
{
    const struct call *c = arg;
    sessions_remove(t, c->session);
    return 0;
}

static void reply_logged_out(struct auth *a, struct http_exchange *x)
{
    set_cookie(a, x, NULL);
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, 204, NULL, (struct str){0});
}

static void logged_out(void *arg, struct error *err)
{
    struct call *c = arg;

    if (err)
        return fail(c, err);
    reply_logged_out(c->auth, c->x);
    call_free(c);
}

static void end_session(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;

    error_free(err); /* the session is gone already */
    struct session *s = who && who->session ? sessions_by_id(a->sessions, who->session, clock_realtime_us()) : NULL;
    if (s == NULL)
        return reply_logged_out(a, x);
    struct call *c = call_new(a, x);
    c->session = s;
    store_submit(a->store, store_logout, c, logged_out);
}

static void logout(struct auth *a, struct http_exchange *x)
{
    auth_identify(a, x, end_session, a);
}

/* --- POST /auth/setup --- */

static yyjson_doc *first_admin(const struct call *c)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "apiVersion", c->auth->user_kind->api_version);
    json_mut_set_str(doc, root, "kind", c->auth->user_kind->kind);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "name", c->user);
    yyjson_mut_val *spec = json_mut_make_obj(doc, root, "spec");
    json_mut_set_int(doc, spec, "role", ROLE_ADMIN);
    json_mut_set_str(doc, spec, "chineseName", c->chinese_name);
    return yyjson_mut_doc_imut_copy(doc, NULL);
}

static int setup_over(struct error **err)
{
    return error_set(err, REASON_FORBIDDEN, "this set-up link is wrong, was used, or is not needed any more");
}

/* The password goes in as the secret that its hash is, made before: nothing slow belongs on the writer's thread. */
static int store_setup(struct store_txn *t, void *arg, struct error **err)
{
    static const struct identity who = {.name = SETUP_USER, .role = ROLE_ADMIN};
    struct call *c = arg;
    struct auth *a = c->auth;
    _cleanup_arena_ struct arena *arena = arena_new();
    _cleanup_json_ yyjson_doc *doc = first_admin(c);
    struct account account;

    if (admins_exist_in_txn(t))
        return setup_over(err);
    if (api_create_in_txn(a->api, t, a->user_kind, yyjson_doc_get_root(doc), &who, err) < 0)
        return -1;
    if (!account_find_in_txn(t, c->user, arena, &account))
        return error_set(err, REASON_INTERNAL, "the first administrator is not there");
    txn_secret_put(t, SECRET_PASSWORD, str_from(account.uid), str_from(c->new_hash));
    make_session(c, &account, NULL);
    sessions_put(a->sessions, t, c->session);
    familiar_prepare(t);
    return 0;
}

static void do_setup(void *arg)
{
    struct call *c = arg;
    struct error *err = NULL;

    c->new_hash = password_hash(c->new_password);
    if (store_run(c->auth->store, store_setup, c, &err) < 0)
        return fail(c, err);
    auth_setup_done(c->auth);
    log_info("the first administrator, \"%s\", has been set up", c->user);
    reply_new_session(c, 201);
}

static int check_setup(struct call *c, const char *code, struct error **err)
{
    int result = 0;

    if (c->auth->api == NULL || c->auth->user_kind == NULL)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "the server is not ready for its set-up");
    if (!auth_is_setup_code(c->auth, code))
        return setup_over(err);
    if (!is_dns_label(str_from(c->user)))
        result =
            error_add_cause(err, "username", "FieldValueInvalid",
                            "must consist of lower case letters, digits and '-', at most %d, and begin and end with "
                            "a letter or digit",
                            NAME_MAX_BYTES);
    if (password_check(c->new_password, "password", err) < 0)
        result = -1;
    return result;
}

/* A name of somebody new has to be right as it is, blanks around it aside. */
static void trim(char *name)
{
    struct str s = str_trim(str_from(name));

    if (name == NULL)
        return;
    memmove(name, s.p, s.n);
    name[s.n] = '\0';
}

static int read_setup(struct call *c, struct error **err)
{
    _cleanup_secret_ char *code = NULL;
    _cleanup_json_ yyjson_doc *doc = read_body(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct wanted wanted[] = {{"code", &code}, {"username", &c->user}, {"password", &c->new_password}, {0}};

    if (doc == NULL)
        return -1;
    int result = read_strings(body, wanted, err);
    trim(c->user);
    trim_password(&c->new_password);
    if (yyjson_obj_get(body, "chineseName") && take_string(body, "chineseName", &c->chinese_name, err) < 0)
        result = -1;
    wipe_strings(body);
    return result < 0 ? -1 : check_setup(c, code, err);
}

static void setup(struct auth *a, struct http_exchange *x)
{
    struct call *c = call_new(a, x);
    struct error *err = NULL;

    if (read_setup(c, &err) < 0)
        return fail(c, err);
    start(c, do_setup);
}

/* --- POST /auth/password --- */

static int store_password(struct store_txn *t, void *arg, struct error **err)
{
    struct call *c = arg;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct account account;

    if (check_unchanged(t, c, arena, &account, err) < 0)
        return -1;
    txn_secret_put(t, SECRET_PASSWORD, str_from(account.uid), str_from(c->new_hash));
    /* The caller's own session goes on under its id (open environments stay open), with new secrets. */
    auth_end_sessions(t, account.uid, c->session_id);
    make_session(c, &account, c->session_id);
    sessions_put(c->auth->sessions, t, c->session);
    familiar_prepare(t);
    return 0;
}

static void do_password(void *arg)
{
    struct call *c = arg;
    struct auth *a = c->auth;
    struct error *err = NULL;

    if (!auth_verify_login(a, c->user, c->password, &c->hash)) {
        error_set(&err, REASON_UNAUTHORIZED, "the current password is wrong");
        return fail(c, err);
    }
    attempt_succeeded(a, &c->attempt);
    c->new_hash = password_hash(c->new_password);
    if (store_run(a->store, store_password, c, &err) < 0)
        return fail(c, err);
    reply_new_session(c, 200);
}

static int read_password(struct call *c, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = read_body(c->x, err);
    yyjson_val *body = yyjson_doc_get_root(doc);
    const struct wanted wanted[] = {{"currentPassword", &c->password}, {"newPassword", &c->new_password}, {0}};

    if (doc == NULL)
        return -1;
    int result = read_strings(body, wanted, err);
    wipe_strings(body);
    trim_password(&c->password);
    trim_password(&c->new_password);
    if (result < 0 || password_check(c->new_password, "newPassword", err) < 0)
        return -1;
    if (streq(c->password, c->new_password))
        return error_add_cause(err, "newPassword", "FieldValueInvalid", "is the current one");
    return 0;
}

/* Whether the session that asks is a script's; without one (a password header) the new one is a script's too. */
static bool is_bearer(struct auth *a, const struct identity *who)
{
    _cleanup_session_ struct session *s =
        who->session ? sessions_by_id(a->sessions, who->session, clock_realtime_us()) : NULL;
    return s == NULL || !s->has_key;
}

static int check_has_password(const struct auth *a, const struct identity *who, struct error **err)
{
    if (who->role == ROLE_NONE)
        return error_set(err, REASON_UNAUTHORIZED, "log in first");
    if (who->uid == NULL || a->config->disable_auth)
        return error_set(err, REASON_FORBIDDEN, "\"%s\" has no password here to change", who->name);
    return 0;
}

/* Who is logged in is no stranger, whatever strangers try. */
static void count_by_session(struct call *c)
{
    if (c->session_id == NULL)
        return;
    free(c->attempt.browser);
    c->attempt.browser = xstrdup(c->session_id);
}

static void change_password(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct auth *a = arg;

    if (err || check_has_password(a, who, &err) < 0)
        return reply_error(x, err);
    struct call *c = call_new(a, x);
    c->user = xstrdup(who->name);
    c->session_id = who->session ? xstrdup(who->session) : NULL;
    c->bearer = is_bearer(a, who);
    if (read_password(c, &err) < 0)
        return fail(c, err);
    attempt_init(&c->attempt, a, x, c->user);
    count_by_session(c);
    start_attempt(c, do_password);
}

static void password(struct auth *a, struct http_exchange *x)
{
    auth_identify(a, x, change_password, a);
}

/* --- Which --- */

static const struct {
    const char *path;
    enum http_method method;
    const char *allow;
    void (*handle)(struct auth *a, struct http_exchange *x);
} calls[] = {
    {"/auth/session", HTTP_GET, "GET, HEAD", session}, {"/auth/login", HTTP_POST, "POST", login},
    {"/auth/logout", HTTP_POST, "POST", logout},       {"/auth/setup", HTTP_POST, "POST", setup},
    {"/auth/password", HTTP_POST, "POST", password},
};

bool auth_owns(struct str path)
{
    return str_is(path, "/auth") || (path.n > 6 && memcmp(path.p, "/auth/", 6) == 0) || str_is(path, "/auth/");
}

static int find_call(struct http_exchange *x, size_t *at, struct error **err)
{
    enum http_method method = http_method(x) == HTTP_HEAD ? HTTP_GET : http_method(x);

    for (size_t i = 0; i < ARRAY_SIZE(calls) && http_role(x) == HTTP_GATEWAY; i++) {
        if (!str_is(http_path(x), calls[i].path))
            continue;
        *at = i;
        if (method == calls[i].method)
            return 0;
        http_add_header(x, "Allow", calls[i].allow);
        return error_set(err, REASON_METHOD_NOT_ALLOWED,
                         "the server does not allow this method on the requested resource");
    }
    return error_set(err, REASON_NOT_FOUND, "the server could not find the requested resource");
}

void auth_handle(struct auth *a, struct http_exchange *x)
{
    struct error *err = NULL;
    size_t i = 0;

    if (find_call(x, &i, &err) < 0 || auth_check_origin(a, x, &err) < 0)
        return reply_error(x, err);
    calls[i].handle(a, x);
}
