/*
 * The server's side of the gateway, for tests with a real nginx: store, auth and gateway as in the server, objects put
 * into the store directly. Told what to do by lines on standard input (fields separated by tabs); answers each with "ok
 * TEXT" or "error TEXT". Both listening sockets are inherited, so that the test can kill it at any moment and start
 * another.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/thread.h"
#include "base/workers.h"
#include "pki/pki.h"
#include "server/accounts/password.h"
#include "server/api/over_http.h"
#include "server/auth/routes.h"
#include "server/gateway/gateway.h"
#include "server/gateway/peers.h"

#define MAX_FIELDS 6

struct stand {
    struct config *config;
    struct store *store;
    struct workers *workers;
    struct accounts *accounts;
    struct identifier *identifier;
    struct auth auth;
    struct gateway *gateway;
    struct http_server *auth_server, *gateway_server;
    pthread_mutex_t stream_lock; /* the stream lives until its close */
    struct http_exchange *stream;
    int stream_step;
    char *upload_path;
    atomic_llong uploads_cut;
};
static struct stand s = {.stream_lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what, struct error *err)
{
    fprintf(stderr, "stand: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

/* --- gateway.sock: what nginx made of a request, a stream, tickets, and the session's calls --- */

static void echo(struct http_exchange *x)
{
    static const char *const names[] = {"Host",
                                        "X-Open-Hydra-Listener",
                                        "X-Client-Verify",
                                        "X-Client-Subject",
                                        "X-Client-Serial",
                                        "X-Real-IP",
                                        "X-Forwarded-For",
                                        "X-Forwarded-Proto",
                                        "X-Forwarded-Host",
                                        "Forwarded",
                                        "Connection",
                                        "Upgrade",
                                        "Cookie",
                                        HTTP_COOKIES,
                                        "Authorization",
                                        "Open-Hydra-Auth"};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    buffer_puts(&b, "{\"path\":");
    buffer_json_string(&b, http_path(x));
    buffer_printf(&b, ",\"method\":\"%s\",\"body\":%zu", http_method_name(x), http_body(x).n);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = http_header(x, names[i]);
        if (value == NULL)
            continue;
        buffer_printf(&b, ",\"%s\":", names[i]);
        buffer_json_string(&b, str_from(value));
    }
    buffer_puts(&b, "}");
    http_reply(x, 200, "application/json", buffer_str(&b));
}

static ssize_t stream_read(void *state, char *out, size_t max)
{
    switch (s.stream_step++) {
    case 0:
        memcpy(out, "first\n", 6);
        return 6;
    case 1:
        return 0;
    case 2:
        memcpy(out, "second\n", 7);
        return 7;
    default:
        return -1;
    }
}

static void stream_close(void *state)
{
    LOCK_SCOPE(&s.stream_lock);
    s.stream = NULL;
}

static void stream_wake(void)
{
    LOCK_SCOPE(&s.stream_lock);
    if (s.stream)
        http_stream_wake(s.stream);
}

static const struct http_stream_ops stream_ops = {stream_read, stream_close};

static void start_stream(struct http_exchange *x)
{
    pthread_mutex_lock(&s.stream_lock);
    s.stream = x;
    s.stream_step = 0;
    pthread_mutex_unlock(&s.stream_lock);
    http_stream(x, 200, "text/plain", &stream_ops, NULL);
}

/* --- A body that goes to a file as it comes: the connection fills a buffer, a thread of the upload's own empties it --- */

#define UPLOAD_BUFFER ((size_t)256 * 1024)

struct upload {
    struct http_exchange *x;
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char waiting[UPLOAD_BUFFER]; /* (lock) */
    size_t n;                    /* (lock) */
    bool ended, cut;             /* (lock) */
    char taken[UPLOAD_BUFFER];   /* the thread's */
};

static ssize_t upload_write(void *state, const char *p, size_t n)
{
    struct upload *u = state;
    LOCK_SCOPE(&u->lock);
    size_t taken = n < UPLOAD_BUFFER - u->n ? n : UPLOAD_BUFFER - u->n;

    memcpy(u->waiting + u->n, p, taken);
    u->n += taken;
    pthread_cond_signal(&u->changed);
    return (ssize_t)taken;
}

static void upload_end(void *state, const struct error *why)
{
    struct upload *u = state;
    LOCK_SCOPE(&u->lock);

    u->ended = true;
    u->cut = why;
    pthread_cond_signal(&u->changed);
}

static const struct http_sink_ops upload_ops = {upload_write, upload_end};

/* Returns how many bytes; 0 at the end. */
static size_t upload_take(struct upload *u)
{
    LOCK_SCOPE(&u->lock);
    while (u->n == 0 && !u->ended)
        pthread_cond_wait(&u->changed, &u->lock);
    size_t n = u->n;
    memcpy(u->taken, u->waiting, n);
    u->n = 0;
    if (n && !u->ended)
        http_receive_wake(u->x);
    return n;
}

/* Zeros become holes, so that a large body costs no disk. */
static void upload_store(const struct upload *u, size_t n, off_t at)
{
    static const char zeros[UPLOAD_BUFFER];

    if (memcmp(u->taken, zeros, n) != 0 && pwrite(u->fd, u->taken, n, at) != (ssize_t)n)
        die("write", NULL);
}

static void *upload_run(void *arg)
{
    struct upload *u = arg;
    off_t at = 0;
    char text[64];

    for (size_t n; (n = upload_take(u)); at += (off_t)n)
        upload_store(u, n, at);
    if (ftruncate(u->fd, at) < 0)
        die("ftruncate", NULL);
    close(u->fd);
    snprintf(text, sizeof(text), "{\"bytes\":%lld}", (long long)at);
    if (u->cut)
        atomic_fetch_add(&s.uploads_cut, 1);
    http_reply(u->x, u->cut ? 400 : 201, "application/json", str_from(text));
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->changed);
    free(u);
    return NULL;
}

static void start_upload(struct http_exchange *x)
{
    struct upload *u = xcalloc(1, sizeof(*u));

    u->x = x;
    u->fd = open(s.upload_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->changed, NULL);
    pthread_t thread = thread_start("upload", upload_run, u);
    pthread_detach(thread);
    http_receive(x, &upload_ops, u);
}

static int body_gate(struct http_exchange *x, void *arg, size_t *max, struct error **err)
{
    if (!str_is(http_path(x), "/apis/upload"))
        return HTTP_BODY_COLLECTED;
    *max = (size_t)1 << 40;
    return HTTP_BODY_RECEIVED;
}

static void make_ticket(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    int64_t expires;
    const char *device = http_path(x).p + strlen("/apis/ticket/");
    _cleanup_object_ struct object *o = err ? NULL : store_get(s.store, "devices", str_from(device));

    if (err == NULL && o == NULL)
        error_set(&err, REASON_NOT_FOUND, "no device %s", device);
    _cleanup_free_ char *url = err ? NULL : gateway_ticket(s.gateway, o, 0, who, &expires, &err);
    if (err) {
        api_reply_error(x, err);
        return;
    }
    _cleanup_free_ char *text = xasprintf("{\"status\":{\"url\":\"%s\"}}", url);
    http_reply(x, 201, "application/json", str_from(text));
}

static void handle_gateway(struct http_exchange *x, void *arg)
{
    static const char zeros[1 << 20];

    if (auth_owns(http_path(x))) {
        auth_handle(&s.auth, x);
    } else if (http_path(x).n > 13 && memcmp(http_path(x).p, "/apis/ticket/", 13) == 0) {
        identity_find(s.identifier, x, make_ticket, NULL);
    } else if (str_is(http_path(x), "/apis/stream")) {
        start_stream(x);
    } else if (str_is(http_path(x), "/apis/upload")) {
        start_upload(x);
    } else if (str_is(http_path(x), "/apis/large")) {
        http_reply(x, 200, "application/octet-stream", (struct str){zeros, sizeof(zeros)});
    } else {
        echo(x);
    }
}

static void handle_auth(struct http_exchange *x, void *arg)
{
    gateway_handle(s.gateway, x);
}

/* --- Commands --- */

static int put(struct store_txn *t, void *arg, struct error **err)
{
    char **f = arg;
    txn_put(t, f[1], f[2], f[3], str_from(f[4]));
    return 0;
}

static int remove_object(struct store_txn *t, void *arg, struct error **err)
{
    char **f = arg;
    txn_delete(t, f[1], f[2], STR("{}"));
    return 0;
}

static int put_password(struct store_txn *t, void *arg, struct error **err)
{
    char **f = arg;
    _cleanup_free_ char *hash = password_hash(f[2]);

    txn_secret_put(t, SECRET_PASSWORD, str_from(f[1]), str_from(hash));
    sessions_end(s.accounts->sessions, t, f[1], NULL);
    return 0;
}

/* As if the caller came with a user's password, or (USER "-") with a client certificate. */
static int ticket(char **f, char **out, struct error **err)
{
    _cleanup_object_ struct object *device = store_get(s.store, "devices", str_from(f[1])),
                                   *user = store_get(s.store, "openhydrausers", str_from(f[2]));
    struct identity who = {.name = f[2], .role = atoi(f[3]), .uid = user ? user->uid : NULL};
    int64_t expires;

    if (device == NULL)
        return error_set(err, REASON_NOT_FOUND, "no device");
    *out = gateway_ticket(s.gateway, device, 0, &who, &expires, err);
    return *out ? 0 : -1;
}

static int configuration(char **f, struct error **err)
{
    const struct nginx_options o = {.config = s.config,
                                    .prefix = f[2],
                                    .gateway_socket = f[3],
                                    .auth_socket = f[4],
                                    .web = s.config->web,
                                    .pages = f[5],
                                    .pki = getenv("STAND_PKI"),
                                    .workers = 2,
                                    .nofile = (unsigned)atoi(getenv("STAND_NOFILE"))};
    _cleanup_free_ char *text = nginx_configuration(&o, err);
    return text ? write_file_atomic(f[1], str_from(text), 0644, err) : -1;
}

static int obey(char **f, char **out, struct error **err)
{
    if (streq(f[0], "put"))
        return store_run(s.store, put, f, err);
    if (streq(f[0], "remove"))
        return store_run(s.store, remove_object, f, err);
    if (streq(f[0], "password"))
        return store_run(s.store, put_password, f, err);
    if (streq(f[0], "endpoint"))
        return gateway_set_endpoints(s.gateway, f[2], &(struct endpoint){"main", f[3], f[4]}, 1, err);
    if (streq(f[0], "forget")) {
        gateway_forget_endpoints(s.gateway, f[1]);
        return 0;
    }
    if (streq(f[0], "ticket"))
        return ticket(f, out, err);
    if (streq(f[0], "configuration"))
        return configuration(f, err);
    if (streq(f[0], "pki"))
        return pki_ensure(&(struct pki_options){f[1], (const char *const *)s.config->hosts}, err);
    if (streq(f[0], "kubeconfig"))
        return pki_write_kubeconfig(&(struct pki_options){f[1], (const char *const *)s.config->hosts}, f[2], f[3], err);
    if (streq(f[0], "clock")) {
        gateway_move_clock(s.gateway, atoll(f[1]) * 1000000);
        return 0;
    }
    if (streq(f[0], "upload")) {
        s.upload_path = xstrdup(f[1]);
        return 0;
    }
    if (streq(f[0], "uploads-cut")) {
        *out = xasprintf("%lld", (long long)atomic_load(&s.uploads_cut));
        return 0;
    }
    if (streq(f[0], "wake")) {
        stream_wake();
        return 0;
    }
    return error_set(err, REASON_BAD_REQUEST, "unknown command %s", f[0]);
}

static void obey_line(char *line)
{
    char *fields[MAX_FIELDS + 1] = {0};
    _cleanup_error_ struct error *err = NULL;
    _cleanup_free_ char *out = NULL;

    for (size_t n = 0; n < MAX_FIELDS && line; n++)
        fields[n] = strsep(&line, "\t");
    if (obey(fields, &out, &err) < 0)
        printf("error %s\n", err->message);
    else
        printf("ok %s\n", out ? out : "");
    fflush(stdout);
}

static struct http_server *serve(int fd, enum http_role role, http_handler *handler)
{
    struct error *err = NULL;
    const struct http_options o = {.listen_fd = fd,
                                   .role = role,
                                   .peer_uid = (uid_t)-1,
                                   .max_connections = 1000,
                                   .max_body = 3 << 20,
                                   .body_gate = body_gate,
                                   .idle_seconds = 60};
    struct http_server *server = http_server_start(&o, handler, NULL, &err);
    if (server == NULL)
        die("http", err);
    return server;
}

static void start(const char *yaml, const char *data, const char *web, const char *runtime, int auth_fd, int gateway_fd)
{
    struct error *err = NULL;
    const struct config_flags flags = {.file = yaml, .data = data, .web = web, .runtime = runtime};

    if (sodium_init() < 0 || (s.config = config_load(&flags, &err)) == NULL)
        die("config", err);
    const struct store_options options = {.directory = data, .log_max_events = 1000, .log_max_age_seconds = 3600};
    if ((s.store = store_open(&options, &err)) == NULL)
        die("store", err);
    s.workers = workers_new("stand", 2, &(struct workers_limits){.jobs = 64});
    s.accounts = accounts_new(s.config, s.store, s.workers);
    s.identifier = identifier_new(s.accounts);
    s.auth = (struct auth){.accounts = s.accounts, .identifier = s.identifier};
    if ((s.gateway = gateway_new(s.config, s.store, s.identifier, &err)) == NULL)
        die("gateway", err);
    gateway_set_peers(s.gateway, peers_socket());
    s.auth_server = serve(auth_fd, HTTP_AUTH, handle_auth);
    s.gateway_server = serve(gateway_fd, HTTP_GATEWAY, handle_gateway);
}

static void stop(void)
{
    http_server_stop(s.auth_server);
    http_server_stop(s.gateway_server);
    workers_free(s.workers);
    gateway_free(s.gateway);
    identifier_free(s.identifier);
    store_close(s.store);
    accounts_free(s.accounts);
    config_free(s.config);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    if (argc != 7)
        return 2;
    start(argv[1], argv[2], argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
    puts("ready");
    fflush(stdout);
    while ((n = getline(&line, &size, stdin)) > 0) {
        line[n - 1] = '\0';
        obey_line(line);
    }
    free(line);
    stop();
    return 0;
}
