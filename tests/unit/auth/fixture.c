#include "unit/auth/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/workers.h"
#include "server/api/over_http.h"
#include "server/identity/roles.h"

static void show(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    if (err)
        return api_reply_error(x, err);
    _cleanup_free_ char *text = xasprintf("%s %d %s", who->name, who->role, who->uid ? who->uid : "-");
    if (who->session)
        http_add_header(x, "Session", who->session);
    http_add_header(x, "Method", who->method);
    http_add_header(x, "Address", *who->address ? who->address : "-");
    for (const char *const *group = who->groups; *group; group++)
        http_add_header(x, "Group", *group);
    http_reply(x, 200, "text/plain", str_from(text));
}

static void handle(struct http_exchange *x, void *arg)
{
    struct world *w = arg;

    if (auth_owns(http_path(x)))
        auth_handle(&w->auth, x);
    else
        identity_find(w->identifier, x, show, NULL);
}

static struct kind *load_users(void)
{
    for (size_t i = 0; i < kind_sources_len; i++) {
        struct kind *k = kind_load(kind_sources[i].yaml, kind_sources[i].name, NULL);
        if (k && strcmp(k->plural, "openhydrausers") == 0)
            return k;
        kind_free(k);
    }
    fail_msg("there is no kind of users");
    return NULL;
}

static void start_rooms(struct world *w)
{
    struct http_options options = default_options();

    w->workers = workers_new("test", 4, &(struct workers_limits){.jobs = 256, .owner_jobs = 32});
    w->accounts = accounts_new(&w->config, w->store, w->workers);
    w->identifier = identifier_new(w->accounts);
    const struct api_resource resources[] = {{w->users, NULL}};
    const struct api_options api_options = {.store = w->store,
                                            .resources = resources,
                                            .resources_len = 1,
                                            .authorize = roles_authorize,
                                            .workers = w->workers,
                                            .version = "0"};
    w->api = api_new(&api_options, NULL);
    assert_non_null(w->api);
    w->auth = (struct auth){w->accounts, w->identifier, w->api, w->users};
    fixture_start(&w->http, &options, handle, w);
    options.role = HTTP_RUNNER;
    fixture_start(&w->runner, &options, handle, w);
}

static void stop_rooms(struct world *w)
{
    fixture_cleanup(&w->http);
    fixture_cleanup(&w->runner);
    workers_free(w->workers);
    api_free(w->api);
    identifier_free(w->identifier);
    store_close(w->store);
    accounts_free(w->accounts);
}

static void open_store(struct world *w)
{
    const struct store_options options = {
        .directory = w->directory, .log_max_events = 1000, .log_max_age_seconds = 3600, .no_sync = true};
    _cleanup_error_ struct error *err = NULL;

    w->store = store_open(&options, &err);
    if (w->store == NULL)
        fail_msg("%s", err->message);
}

struct world *world_new(bool disable_auth)
{
    struct world *w = xcalloc(1, sizeof(*w));

    snprintf(w->directory, sizeof(w->directory), "/tmp/open-hydra-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    w->pki = xasprintf("%s/pki", w->directory);
    assert_int_equal(make_directory(w->pki, 0700, NULL), 0);
    w->hosts[0] = "127.0.0.1";
    w->hosts[1] = "localhost";
    w->config = (struct config){
        .data = w->directory, .disable_auth = disable_auth, .session_seconds = 3600, .session_max_seconds = 36000};
    w->config.hosts = (char **)(uintptr_t)w->hosts;
    static char loopback[] = "127.0.0.1";
    w->config.dashboard = (struct listen_address){loopback, 30001, 30001};
    w->config.environments = (struct listen_address){loopback, 31000, 31999};
    w->hash = password_hash(PASSWORD);
    w->users = load_users();
    open_store(w);
    start_rooms(w);
    return w;
}

void world_restart(struct world *w)
{
    stop_rooms(w);
    open_store(w);
    start_rooms(w);
}

void world_free(struct world *w)
{
    stop_rooms(w);
    kind_free(w->users);
    _cleanup_free_ char *command = xasprintf("%s/revoked", w->pki);
    unlink(command);
    rmdir(w->pki);
    static const char *const files[] = {"open-hydra.db", "open-hydra.db-wal", "open-hydra.db-shm", "lock",
                                        "open-hydra.lock"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", w->directory, files[i]);
        unlink(path);
    }
    rmdir(w->directory);
    free(w->pki);
    free(w->hash);
    free(w);
}

/* --- Users --- */

struct user_write {
    struct world *world;
    const char *name, *uid, *hash;
    int role;
};

static int write_user(struct store_txn *t, void *arg, struct error **err)
{
    const struct user_write *u = arg;
    _cleanup_free_ char *json =
        xasprintf("{\"apiVersion\":\"open-hydra-server.openhydra.io/v1\",\"kind\":\"OpenHydraUser\","
                  "\"metadata\":{\"name\":\"%s\",\"uid\":\"%s\",\"resourceVersion\":\"%llu\"},"
                  "\"spec\":{\"chineseName\":\"王 %s\",\"role\":%d}}",
                  u->name, u->uid, (unsigned long long)txn_next_revision(t), u->name, u->role);

    txn_put(t, "openhydrausers", u->name, u->uid, str_from(json));
    if (u->hash)
        txn_secret_put(t, SECRET_PASSWORD, str_from(u->uid), str_from(u->hash));
    return 0;
}

void put_user(struct world *w, const char *name, const char *uid, int role, const char *hash)
{
    struct user_write u = {w, name, uid, hash, role};
    assert_int_equal(store_run(w->store, write_user, &u, NULL), 0);
}

static int remove_user(struct store_txn *t, void *arg, struct error **err)
{
    const struct user_write *u = arg;

    sessions_end(u->world->accounts->sessions, t, u->uid, NULL);
    txn_secret_delete(t, SECRET_PASSWORD, str_from(u->uid));
    txn_delete(t, "openhydrausers", u->name, STR("{}"));
    return 0;
}

void delete_user(struct world *w, const char *name, const char *uid)
{
    struct user_write u = {w, name, uid, NULL, 0};
    assert_int_equal(store_run(w->store, remove_user, &u, NULL), 0);
}

/* --- Requests --- */

void reply_clear(struct reply *r)
{
    yyjson_doc_free(r->json);
    free(r->text);
}

struct reply ask_on(const struct fixture *f, const char *method, const char *path, const char *headers,
                    const char *body)
{
    _cleanup_free_ char *text =
        xasprintf("%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", method, path,
                  body ? strlen(body) : 0, headers ? headers : "", body ? body : "");
    struct buffer b = {0};
    struct reply r = {0};
    int fd = client_connect(f);

    client_send(fd, text);
    client_read_all(fd, &b);
    close(fd);
    r.text = buffer_steal(&b);
    if (strlen(r.text) < 12 || strstr(r.text, "\r\n\r\n") == NULL)
        fail_msg("no answer: %s", r.text);
    r.status = (unsigned)strtoul(r.text + 9, NULL, 10);
    r.body = strstr(r.text, "\r\n\r\n") + 4;
    r.json = json_parse(str_from(r.body), NULL);
    return r;
}

struct reply ask(struct world *w, const char *method, const char *path, const char *headers, const char *body)
{
    _cleanup_free_ char *all =
        xasprintf("%sX-Open-Hydra-Listener: dashboard\r\nX-Real-IP: 192.0.2.1\r\n%s",
                  headers && strstr(headers, "Host:") ? "" : "Host: 127.0.0.1:30001\r\n", headers ? headers : "");
    return ask_on(&w->http, method, path, all, body);
}

struct reply ask_api(struct world *w, const char *method, const char *path, const char *headers, const char *body)
{
    _cleanup_free_ char *all =
        xasprintf("Host: any\r\nX-Open-Hydra-Listener: api\r\nX-Real-IP: 192.0.2.1\r\n%s", headers ? headers : "");
    return ask_on(&w->http, method, path, all, body);
}

char *header_of(const struct reply *r, const char *name)
{
    _cleanup_free_ char *start = xasprintf("\r\n%s: ", name);
    const char *at = strcasestr(r->text, start);

    if (at == NULL || at > r->body)
        return NULL;
    at += strlen(start);
    return xstrndup(at, strcspn(at, "\r"));
}

const char *string_of(const struct reply *r, const char *path)
{
    return json_str_at(yyjson_doc_get_root(r->json), path);
}

char *headers_of_session(const struct reply *r)
{
    _cleanup_free_ char *cookie = header_of(r, "Set-Cookie");
    const char *key = string_of(r, "key");

    assert_non_null(cookie);
    assert_non_null(key);
    cookie[strcspn(cookie, ";")] = '\0';
    return xasprintf(HTTP_COOKIES ": %s\r\nX-Open-Hydra-Session-Key: %s\r\n", cookie, key);
}

char *browser(struct world *w, const char *user, const char *password)
{
    _cleanup_free_ char *body = xasprintf("{\"username\":\"%s\",\"password\":\"%s\"}", user, password);
    _cleanup_reply_ struct reply r = ask(w, "POST", "/auth/login", NULL, body);

    if (r.status != 200)
        fail_msg("login: %s", r.text);
    return headers_of_session(&r);
}

static char *who_of(const struct reply *r)
{
    if (r->status == 200)
        return xstrdup(r->body);
    return xasprintf("%u %s", r->status, string_of(r, "reason"));
}

char *whoami(struct world *w, const char *headers)
{
    _cleanup_reply_ struct reply r = ask(w, "GET", "/whoami", headers, NULL);
    return who_of(&r);
}

void assert_is(struct world *w, const char *headers, const char *expected)
{
    _cleanup_free_ char *who = whoami(w, headers);
    assert_string_equal(who, expected);
}

void fail_later(struct world *w, const char *account)
{
    const struct throttle_attempt a = {account, "192.0.2.1", NULL};

    assert_int_equal(throttle_begin(w->accounts->throttle, &a, clock_monotonic_us() + 60000000).refused, 0);
}
