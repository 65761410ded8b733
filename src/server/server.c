/* The server process: wires store, API, accounts and gateway to its three listening sockets. */
#include "server/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/workers.h"
#include "client/transport.h"
#include "server/api/over_http.h"
#include "server/api/stored.h"
#include "server/auth/routes.h"
#include "server/hooks/allocation.h"
#include "server/hooks/content.h"
#include "server/hooks/context.h"
#include "server/hooks/device_addresses.h"
#include "server/hooks/home_totals.h"
#include "server/identity/nginx_headers.h"
#include "server/identity/roles.h"
#include "server/presence.h"
#include "server/served.h"
#include "server/shipped.h"

#define MAX_BODY ((size_t)3 << 20)
/* Logins, passwords. */
#define MAX_AUTH_BODY ((size_t)16 << 10)
/* Less is not counted: the connection itself is as large, and logins of a class behind one address pass. */
#define SMALL_BODY 4096
#define MAX_PORTS_FILE ((size_t)1 << 20)
#define LOG_MAX_EVENTS 20000
#define LOG_MAX_BYTES ((size_t)64 << 20)
#define LOG_MAX_AGE_SECONDS 3600
/* The WAL's usual size twice: more than a thousand logins and deletes while the disk is full. */
#define RESERVE_BYTES (UINT64_C(32) << 20)
#define IDLE_SECONDS 75
/* argon2id takes 64 MiB a piece: two at a time are what a small machine bears beside its environments. */
#define WORKER_THREADS 2
/* Half for one address: a class logs in from behind one. */
#define WORKER_LIMITS ((struct workers_limits){.jobs = 256, .owner_jobs = 128})
/* A piece takes milliseconds, so that a second's work may wait. */
#define PARSER_THREADS 2
#define PARSER_LIMITS                                                                                                  \
    ((struct workers_limits){.jobs = 256, .owner_jobs = 16, .bytes = (size_t)64 << 20, .owner_bytes = (size_t)8 << 20})

struct server {
    const struct server_options *options;
    struct served served;
    struct store *store;
    struct workers *workers, *parsers;
    struct flow *flow;
    struct accounts *accounts;
    struct identifier *identifier;
    struct auth auth;
    struct gateway *gateway;
    struct api *api;
    struct presence *presence;
    struct hook_context context;
    atomic_bool runner_present;
    uint16_t *excluded;
    struct http_server *listeners[3];
};

static void read_excluded_ports(struct server *s)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;

    if (s->options->excluded_ports_file)
        text = read_file(s->options->excluded_ports_file, MAX_PORTS_FILE, &n, NULL);
    struct str rest = {text, n}, line;
    unsigned long long port;
    while (text && str_split(&rest, '\n', &line)) {
        if (str_to_u64(line, UINT16_MAX, &port) < 0)
            continue;
        size_t count = s->context.excluded_ports_len;
        s->excluded = xreallocarray(s->excluded, count + 1, sizeof(*s->excluded));
        s->excluded[count] = (uint16_t)port;
        s->context.excluded_ports_len++;
    }
    s->context.excluded_ports = s->excluded;
}

/* A row of a collection that is none was one of another's. */
static int check_stored(void *arg, const char *collection, const struct object *o, struct error **err)
{
    struct server *s = arg;

    if (served_find(&s->served, collection))
        return stored_check(o, err);
    return error_set(err, REASON_INTERNAL, "nothing of that kind is served");
}

static int open_store(struct server *s, struct error **err)
{
    _cleanup_free_ char *directory = xasprintf("%s/server", s->options->config->data);
    struct store_options options = {.directory = directory,
                                    .log_max_events = LOG_MAX_EVENTS,
                                    .log_max_bytes = LOG_MAX_BYTES,
                                    .log_max_age_seconds = LOG_MAX_AGE_SECONDS,
                                    .check = check_stored,
                                    .check_arg = s,
                                    .reserve_bytes = RESERVE_BYTES};

    _cleanup_free_ struct store_log_limit *limits = served_log_limits(&s->served, &options.log_limits_len);
    options.log_limits = limits;
    s->store = store_open(&options, err);
    return s->store ? 0 : -1;
}

static bool still_holds(void *context, const struct identity *who)
{
    return identity_still_holds(((struct hook_context *)context)->identifier, who);
}

static int make_api(struct server *s, struct error **err)
{
    struct api_options options = {
        .store = s->store,
        .resources = s->served.resources,
        .resources_len = s->served.n,
        .authorize = roles_authorize,
        .still_holds = still_holds,
        .reserved = roles_reserved,
        .flow = s->flow,
        .workers = s->workers,
        .parsers = s->parsers,
        .context = &s->context,
        .version = OPEN_HYDRA_VERSION,
    };

    s->api = api_new(&options, err);
    return s->api ? 0 : -1;
}

static int build(struct server *s, struct error **err)
{
    const struct config *c = s->options->config;

    if (served_load(&s->served, err) < 0 || open_store(s, err) < 0)
        return -1;
    s->workers = workers_new("worker", WORKER_THREADS, &WORKER_LIMITS);
    s->parsers = workers_new("parser", PARSER_THREADS, &PARSER_LIMITS);
    s->flow = flow_new();
    s->accounts = accounts_new(c, s->store, s->workers);
    s->identifier = identifier_new(s->accounts);
    s->gateway = gateway_new(c, s->store, s->identifier, err);
    if (s->gateway == NULL)
        return -1;
    gateway_set_peers(s->gateway, s->options->peers_fd);
    s->context.config = c;
    s->context.store = s->store;
    s->context.accounts = s->accounts;
    s->context.identifier = s->identifier;
    s->context.gateway = s->gateway;
    s->context.logs_socket = s->options->logs_socket;
    s->context.runner_present = &s->runner_present;
    s->context.content = content_new(c, s->store);
    s->context.home_totals = home_totals_new(s->store);
    read_excluded_ports(s);
    if (make_api(s, err) < 0)
        return -1;
    content_start(s->context.content, s->api);
    s->auth = (struct auth){s->accounts, s->identifier, s->api, served_find(&s->served, PLURAL_USERS)};
    if (shipped_create(s->api, s->store, s->served.kinds, s->served.n, err) < 0)
        return -1;
    if (store_run(s->store, device_renew_addresses, &s->context, err) < 0)
        return -1;
    return store_run(s->store, allocation_serve, &s->context, err);
}

static void identified(struct http_exchange *x, const struct identity *who, struct error *err, void *arg)
{
    struct server *s = arg;

    if (err)
        api_handle_refused(s->api, x, &(struct identity){.address = nginx_says_address(x)}, err);
    else
        api_handle(s->api, x, who);
}

/* Empty where there is an administrator. */
static void reply_setup_code(struct server *s, struct http_exchange *x)
{
    _cleanup_free_ char *code = accounts_setup_code(s->accounts);

    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, 200, "text/plain", str_from(code ? code : ""));
}

static void handle_exchange(struct http_exchange *x, void *arg)
{
    struct server *s = arg;
    struct str path = http_path(x);

    if (http_role(x) == HTTP_AUTH)
        gateway_handle(s->gateway, x);
    else if (http_role(x) == HTTP_GATEWAY && auth_owns(path))
        auth_handle(&s->auth, x);
    else if (http_role(x) == HTTP_RUNNER && http_method(x) == HTTP_GET && str_is(path, SETUP_CODE_PATH))
        reply_setup_code(s, x);
    else if (api_owns(path))
        identity_find(s->identifier, x, identified, s);
    else {
        struct error *err = NULL;
        error_set(&err, REASON_NOT_FOUND, "the server could not find the requested resource");
        api_reply_error(x, err);
    }
}

/* Before a body is read: who is nobody writes nothing but logins, and what bodies are held is counted. */
static int body_gate(struct http_exchange *x, void *arg, size_t *max, struct error **err)
{
    struct server *s = arg;
    struct identity who = {.address = nginx_says_address(x)};
    struct flow_caller caller = api_caller(s->api, &who);

    if (http_role(x) != HTTP_GATEWAY)
        return (int)api_body_use(s->api, x, max);
    if (auth_owns(http_path(x))) {
        *max = MAX_AUTH_BODY;
    } else {
        int known = identity_peek(s->identifier, x, &who, err);
        if (known < 0)
            return -1;
        if (known && who.role == ROLE_NONE)
            return error_set(err, REASON_UNAUTHORIZED, "Unauthorized");
        if (known)
            caller = api_caller(s->api, &who);
        /* Nothing of it is held. */
        if (api_body_use(s->api, x, max) == HTTP_BODY_RECEIVED)
            return HTTP_BODY_RECEIVED;
    }
    unsigned long long n = http_announced(x) ? http_announced(x) : *max;
    return n <= SMALL_BODY || n > *max
               ? 0
               : flow_take(s->flow, FLOW_BODIES, n, &caller, http_arena(x), clock_monotonic_us(), err);
}

static int listen_all(struct server *s, struct error **err)
{
    const struct server_options *o = s->options;
    const struct http_options common = {
        .max_connections = 16384, .max_body = MAX_BODY, .body_gate = body_gate, .idle_seconds = IDLE_SECONDS};
    const struct {
        int fd;
        enum http_role role;
        uid_t peer;
    } sockets[] = {
        {o->gateway_fd, HTTP_GATEWAY, o->gateway_uid},
        {o->auth_fd, HTTP_AUTH, o->gateway_uid},
        {o->runner_fd, HTTP_RUNNER, o->runner_uid},
    };

    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        struct http_options options = common;
        options.listen_fd = sockets[i].fd;
        options.role = sockets[i].role;
        options.peer_uid = sockets[i].peer;
        s->listeners[i] = http_server_start(&options, handle_exchange, s, err);
        if (s->listeners[i] == NULL)
            return -1;
    }
    return 0;
}

/* The code goes to whoever started us, or to root by runner.sock (`open-hydra-server setup`), and not into the log. */
static void say_ready(struct server *s)
{
    _cleanup_free_ char *code = accounts_setup_code(s->accounts);
    _cleanup_free_ char *text = code ? xasprintf("setup %s\nready\n", code) : xstrdup("ready\n");

    log_info("serving");
    if (s->options->ready_fd < 0) {
        notify_ready();
        if (code)
            log_info("there is no administrator yet: `open-hydra-server setup` prints the link that makes the first");
    } else if (write_all(s->options->ready_fd, text, strlen(text), NULL) < 0) {
        log_warning("whoever started this server has gone");
    }
}

static void wait_for_stop(int stop_fd)
{
    struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

    while (poll(&fd, 1, -1) < 0 && errno == EINTR)
        ;
}

static void tear_down(struct server *s)
{
    presence_stop(s->presence);
    for (size_t i = 0; i < ARRAY_SIZE(s->listeners); i++)
        if (s->listeners[i])
            http_server_stop(s->listeners[i]);
    /* What was parsed may need a password hashed. */
    workers_free(s->parsers);
    workers_free(s->workers);
    content_free(s->context.content);
    if (s->api)
        api_free(s->api);
    if (s->gateway)
        gateway_free(s->gateway);
    identifier_free(s->identifier);
    if (s->store)
        store_close(s->store);
    home_totals_free(s->context.home_totals);
    accounts_free(s->accounts);
    served_free(&s->served);
    flow_free(s->flow);
    free(s->excluded);
}

int server_run(const struct server_options *options, int stop_fd, struct error **err)
{
    struct server s = {.options = options};

    transport_init();
    int rc = build(&s, err);
    if (rc == 0)
        rc = listen_all(&s, err);
    if (rc == 0) {
        s.presence = presence_start(s.store, options->logs_socket, &s.runner_present);
        say_ready(&s);
        wait_for_stop(stop_fd);
        log_info("stopping");
    }
    tear_down(&s);
    return rc;
}
