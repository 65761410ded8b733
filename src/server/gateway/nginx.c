#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "config/public.h"
#include "server/gateway/gateway.h"
#include "server/gateway/outer.h"
#include "server/gateway/template.h"

#define CONFIGURATION_MAX ((size_t)1 << 20)
#define DEFAULT_NOFILE 16384
#define MAX_CONNECTIONS 65536
/* Descriptors and connections that a worker needs beside its listening sockets for anybody to be served well. */
#define MIN_CONNECTIONS 512
#define PORTS 65536
#define ATTEMPTS 8
#define FORM_ROOM (UINT64_C(1) << 20)
/* A peer that has vanished without a word is given back after 45 + 4 × 15 seconds. On sockets that it inherits (they
 * are bound for it: cli/listeners.c) nginx listens where the length of the queue is another than its usual 511. */
#define LISTEN_FLAGS " so_keepalive=45s:15s:4 backlog=512"

/* Everything that goes between quotes. What would end them, or name a variable, is refused rather than escaped. */
static int check_value(const char *what, const char *value, struct error **err)
{
    if (value == NULL || value[0] == '\0')
        return error_set(err, REASON_INVALID, "nginx configuration: no %s", what);
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || strchr("\"'\\;${}", *c))
            return error_set(err, REASON_INVALID,
                             "nginx configuration: %s \"%s\" holds a character that has a meaning there "
                             "(quotes, \\, ;, $, braces, control characters)",
                             what, value);
    return 0;
}

static int check_path(const char *what, const char *path, struct error **err)
{
    if (check_value(what, path, err) < 0)
        return -1;
    return path[0] == '/'
               ? 0
               : error_set(err, REASON_INVALID, "nginx configuration: %s \"%s\" must begin with /", what, path);
}

static int check_socket(const char *what, const char *path, struct error **err)
{
    if (check_path(what, path, err) < 0)
        return -1;
    if (strlen(path) > SOCKET_PATH_MAX || strchr(path, ':'))
        return error_set(err, REASON_INVALID, "nginx configuration: %s \"%s\" is longer than %d bytes or holds a colon",
                         what, path, SOCKET_PATH_MAX);
    return 0;
}

static int check_host(const char *what, const char *host, struct error **err)
{
    if (check_value(what, host, err) < 0)
        return -1;
    for (const char *c = host; *c; c++)
        if (!ascii_isalnum(*c) && *c != '.' && *c != '-' && *c != ':')
            return error_set(err, REASON_INVALID, "nginx configuration: %s \"%s\" is no host name or address", what,
                             host);
    return 0;
}

static int check_options(const struct nginx_options *o, struct error **err)
{
    const struct config *c = o->config;

    if (check_path("prefix", o->prefix, err) < 0 || check_path("runtime directory", c->runtime, err) < 0 ||
        (o->pid && check_path("pid", o->pid, err) < 0) || check_path("pages", o->pages, err) < 0 ||
        check_path("pki", o->pki, err) < 0 || check_path("web", o->web, err) < 0 ||
        check_socket("gateway socket", o->gateway_socket, err) < 0 ||
        check_socket("auth socket", o->auth_socket, err) < 0)
        return -1;
    if (check_host("dashboard address", c->dashboard.host, err) < 0 ||
        check_host("environments address", c->environments.host, err) < 0 ||
        check_host("API address", c->api.host, err) < 0)
        return -1;
    if (c->certificate && (check_path("certificate", c->certificate, err) < 0 ||
                           check_path("certificate key", c->certificate_key, err) < 0))
        return -1;
    for (char **h = c->hosts; *h; h++)
        if (check_host("host", *h, err) < 0)
            return -1;
    return 0;
}

static void write_host(struct buffer *b, const char *host)
{
    buffer_printf(b, strchr(host, ':') ? "[%s]" : "%s", host);
}

/* No HTTP/2 anywhere. To browsers: cookies that are too large nginx answers with the end of the connection there, and
 * the browser would be shut out for good; over HTTP/1.1 it is told to clear them. To the API's clients:
 * nginx (1.22) keeps an answer's headers back there until the first bytes of its body come, and kubectl waits for the
 * headers of a watch that has nothing to tell yet, until its own ping after 30 s (`kubectl delete` of what goes fast).
 */
static const char *browser_listen_flags(const struct nginx_options *o)
{
    return config_browser_tls(o->config) ? " ssl" LISTEN_FLAGS : LISTEN_FLAGS;
}

static void write_listen(struct buffer *b, const struct listen_address *at, const char *flags)
{
    write_host(b, at->host);
    buffer_printf(b, ":%u%s", at->first, flags);
}

static void write_range(struct buffer *b, const struct nginx_options *o, unsigned first, unsigned last)
{
    buffer_puts(b, "        listen ");
    write_host(b, o->config->environments.host);
    buffer_printf(b, ":%u", first);
    if (last > first)
        buffer_printf(b, "-%u", last);
    buffer_printf(b, "%s;\n", browser_listen_flags(o));
}

/* The range in as few pieces as the ports left out allow. Returns the number of ports. */
static unsigned write_ranges(struct buffer *b, const struct nginx_options *o)
{
    unsigned char excluded[PORTS / 8] = {0};
    unsigned first = o->config->environments.first, last = o->config->environments.last, count = 0;

    for (size_t i = 0; i < o->excluded_len; i++)
        excluded[o->excluded[i] / 8] |= (unsigned char)(1U << (o->excluded[i] % 8));
    for (unsigned port = first, begin = first; port <= last + 1; port++) {
        if (port <= last && !(excluded[port / 8] & (1U << (port % 8))))
            continue;
        if (port > begin)
            write_range(b, o, begin, port - 1);
        count += port - begin;
        begin = port + 1;
    }
    return count;
}

static void write_tls(struct buffer *b, const struct nginx_options *o, const char *certificate, const char *key)
{
    if (certificate)
        buffer_printf(b, "        ssl_certificate \"%s\";\n        ssl_certificate_key \"%s\";\n", certificate, key);
    else
        buffer_printf(b, "        ssl_certificate \"%s/server.crt\";\n        ssl_certificate_key \"%s/server.key\";\n",
                      o->pki, o->pki);
}

static void write_api_tls(struct buffer *b, const struct nginx_options *o)
{
    write_tls(b, o, NULL, NULL);
    buffer_printf(b,
                  "        ssl_client_certificate \"%s/ca.crt\";\n"
                  "        ssl_verify_client optional;\n"
                  "        ssl_verify_depth 1;\n",
                  o->pki);
}

static void write_servers(struct buffer *b, const char *socket)
{
    for (int i = 0; i < ATTEMPTS; i++)
        buffer_printf(b, "        server \"unix:%s\" max_fails=0;\n", socket);
}

/* The first of the hosts is in all addresses that we show; the others lead there. */
static void write_dashboard_hosts(struct buffer *b, const struct config *c)
{
    unsigned port = c->dashboard.first;
    bool own_port = port == (config_browser_tls(c) ? 443 : 80), is_public = c->public_address != NULL;

    if (is_public)
        buffer_printf(b, "        \"%s\" own;\n", strstr(c->public_address, "//") + 2);
    for (char **h = c->hosts; *h; h++) {
        const char *kind = h == c->hosts && !is_public ? "own" : "known", *open = strchr(*h, ':') ? "[" : "",
                   *close = *open ? "]" : "";
        buffer_printf(b, "        \"%s%s%s:%u\" %s;\n", open, *h, close, port, kind);
        if (own_port)
            buffer_printf(b, "        \"%s%s%s\" %s;\n", open, *h, close, kind);
    }
    /* Listening on every address, any literal one is ours: only names can be rebound by somebody's DNS. */
    if (streq(c->dashboard.host, "0.0.0.0"))
        buffer_printf(b, "        \"~^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+:%u$\" %s;\n", port,
                      is_public ? "known" : "own");
}

/* The dashboard redeems tickets at the environments' ports. The policy's language knows no range of ports, and no IPv6
 * addresses. */
static char *environments_source(const struct config *c)
{
    const char *scheme = config_browser_tls(c) ? "https" : "http";

    if (c->public_address)
        return public_environment_source(c);
    return strchr(c->hosts[0], ':') ? xasprintf("%s:", scheme) : xasprintf("%s://%s:*", scheme, c->hosts[0]);
}

/* Header lines are not inherited where a location has some of its own, so that each gets them all. */
static void write_dashboard_headers(struct buffer *b, const struct config *c)
{
    _cleanup_free_ char *environments = environments_source(c);

    buffer_printf(
        b,
        "            add_header Content-Security-Policy \"default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self' %s; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'\" always;\n",
        environments);
    buffer_puts(b, "            add_header Cross-Origin-Opener-Policy same-origin always;\n"
                   "            add_header Cross-Origin-Resource-Policy same-origin always;\n"
                   "            add_header Referrer-Policy same-origin always;\n"
                   "            add_header X-Content-Type-Options nosniff always;\n"
                   "            add_header X-Frame-Options DENY always;\n"
                   "            add_header Permissions-Policy \"camera=(), geolocation=(), microphone=()\" always;");
}

enum {
    LISTEN_DASHBOARD,
    LISTEN_API,
    LISTEN_ENVIRONMENTS,
    BROWSER_TLS,
    API_TLS,
    HOSTS,
    REAL_IP,
    TRUSTED,
    PROXIED_HOSTS,
    ENVIRONMENT_HOSTS,
    HEADERS,
    PAGES,
    API_SERVERS,
    AUTH_SERVERS,
    API_ERRORS,
    API_PROXY,
    ENDPOINT_PATTERN,
    ENDPOINT_NETWORKS,
    PAGE_LIMITS,
    ENVIRONMENT_LIMITS,
    PIECES
};

/* In the API's own form (metav1.Status): what clients read is the same whoever of us refuses. */
static const struct api_error {
    const char *location;
    unsigned code;
    const char *reason, *message;
    unsigned retry_seconds;
} api_errors[] = {
    /* Named locations keep the address; what could not be read has none. */
    {"= /.open-hydra/status/malformed", 400, "BadRequest", "the request cannot be read", 0},
    {"= /.open-hydra/status/long", 414, "BadRequest", "the address of the request is too long", 0},
    {"= /.open-hydra/status/large", 431, "BadRequest", "the headers of the request are too large", 0},
    {"@too_large", 413, "RequestEntityTooLarge", "the request body is larger than is taken here", 0},
    {"@too_many", 429, "TooManyRequests", "too many requests or connections of this address, or of all without a login",
     3},
    {"@broken", 500, "InternalError", "the gateway could not handle the request", 0},
    {"@api_away", 503, "ServiceUnavailable", "the server is away for a moment", 3},
    {"@change_lost", 503, "ServiceUnavailable",
     "the server went away meanwhile: look whether this was carried out before it is sent again", 0},
};

static void write_api_errors(struct buffer *b)
{
    for (size_t i = 0; i < ARRAY_SIZE(api_errors); i++) {
        const struct api_error *e = &api_errors[i];
        buffer_printf(b, "        location %s {\n            internal;\n            default_type application/json;\n",
                      e->location);
        if (e->retry_seconds)
            buffer_printf(b, "            add_header Retry-After %u always;\n", e->retry_seconds);
        buffer_printf(b,
                      "            return %u '{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                      "\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%u",
                      e->code, e->message, e->reason, e->code);
        if (e->retry_seconds)
            buffer_printf(b, ",\"details\":{\"retryAfterSeconds\":%u}", e->retry_seconds);
        buffer_puts(b, "}';\n        }\n");
    }
}

/* Requests at a time. Of a worker's connections, of which a request takes two, dashboard and API may have three
 * eighths, environments as many: the last quarter is for administrators with a certificate, who are not counted. One
 * address may have half of that, who shows no credential an eighth, and all of these a quarter. What goes from one
 * address to one environment is an eighth too: who opens all that there may be to an own one, where they last as long
 * as it says, keeps nobody from theirs. */
struct connection_limits {
    unsigned all, address, environment, strangers, stranger;
};

static struct connection_limits connection_limits(unsigned worker_connections)
{
    unsigned all = worker_connections / 16 * 3;
    return (struct connection_limits){
        .all = all, .address = all / 2, .environment = all / 8, .strangers = all / 4, .stranger = all / 8};
}

/* A body goes on to the server as it comes, which has a time for the whole of it (http/body.c) and knows who may send
 * how much; kept here it would fill the disk that the database is on. */
static void write_limits(struct buffer *pieces, unsigned worker_connections)
{
    const struct connection_limits n = connection_limits(worker_connections);

    buffer_printf(&pieces[PAGE_LIMITS],
                  "        limit_conn open_hydra_address %u;\n        limit_conn open_hydra_all %u;", n.address, n.all);
    buffer_printf(&pieces[ENVIRONMENT_LIMITS],
                  "            limit_conn open_hydra_environment %u;\n"
                  "            limit_conn open_hydra_environment_address %u;\n"
                  "            limit_conn open_hydra_environments %u;",
                  n.environment, n.address, n.all);
    buffer_printf(&pieces[API_PROXY],
                  "            limit_conn open_hydra_address %u;\n            limit_conn open_hydra_all %u;\n"
                  "            limit_conn open_hydra_stranger %u;\n            limit_conn open_hydra_strangers %u;\n"
                  "            limit_req zone=open_hydra_stranger_rate burst=5000 nodelay;\n",
                  n.address, n.all, n.stranger, n.strangers);
    buffer_puts(
        &pieces[API_PROXY],
        "            error_page 413 = @too_large;\n            error_page 429 = @too_many;\n"
        "            error_page 500 = @broken;\n            error_page 502 504 = $open_hydra_away;\n"
        "            proxy_request_buffering off;\n            proxy_pass http://$open_hydra_api_upstream;\n"
        "            add_header Content-Security-Policy \"default-src 'none'; frame-ancestors 'none'\" always;\n"
        "            add_header Cross-Origin-Resource-Policy same-origin always;\n"
        "            add_header X-Content-Type-Options nosniff always;");
}

static void write_page_headers(struct buffer *b)
{
    buffer_puts(b, "            add_header Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'; "
                   "frame-ancestors 'self'\" always;\n"
                   "            add_header Cross-Origin-Resource-Policy same-origin always;\n"
                   "            add_header Referrer-Policy same-origin always;\n"
                   "            add_header X-Content-Type-Options nosniff always;\n"
                   "            add_header Cache-Control no-store always;\n"
                   "            add_header Retry-After $open_hydra_retry always;\n");
}

/* Only cookies.html clears any: it is shown when the cookies are too large to be read, so that none can be kept. */
static void write_pages(struct buffer *b, const char *pages)
{
    buffer_printf(b,
                  "        location = /.open-hydra/pages/cookies.html {\n            internal;\n"
                  "            alias \"%s/cookies.html\";\n"
                  "            add_header Clear-Site-Data '\"cookies\"' always;\n",
                  pages);
    write_page_headers(b);
    buffer_printf(
        b, "        }\n        location ^~ /.open-hydra/pages/ {\n            internal;\n            alias \"%s/\";\n",
        pages);
    write_page_headers(b);
    buffer_puts(b, "        }");
}

/* Connections of a worker: its share of the descriptors, less the listening sockets, which count as connections too. */
static int connections(const struct nginx_options *o, unsigned ports, unsigned *out, struct error **err)
{
    unsigned nofile = o->nofile ? o->nofile : DEFAULT_NOFILE;

    if (nofile < ports + MIN_CONNECTIONS)
        return error_set(
            err, REASON_INVALID,
            "nginx listens on %u ports, and may have %u files open: raise the limit (ulimit -n) or make the range "
            "of the environments smaller",
            ports, nofile);
    *out = nofile > MAX_CONNECTIONS ? MAX_CONNECTIONS : nofile - 64;
    return 0;
}

static void write_pieces(struct buffer *pieces, const struct nginx_options *o)
{
    const struct config *c = o->config;
    bool tls = config_browser_tls(c);

    write_listen(&pieces[LISTEN_DASHBOARD], &c->dashboard, browser_listen_flags(o));
    write_listen(&pieces[LISTEN_API], &c->api, " ssl" LISTEN_FLAGS);
    if (tls)
        write_tls(&pieces[BROWSER_TLS], o, c->certificate, c->certificate_key);
    write_api_tls(&pieces[API_TLS], o);
    write_dashboard_hosts(&pieces[HOSTS], c);
    outer_write_real_ip(&pieces[REAL_IP], c);
    outer_write_trusted(&pieces[TRUSTED], c);
    outer_write_proxied_hosts(&pieces[PROXIED_HOSTS], c);
    outer_write_environment_hosts(&pieces[ENVIRONMENT_HOSTS], c);
    write_dashboard_headers(&pieces[HEADERS], c);
    write_pages(&pieces[PAGES], o->pages);
    write_servers(&pieces[API_SERVERS], o->gateway_socket);
    write_servers(&pieces[AUTH_SERVERS], o->auth_socket);
    write_api_errors(&pieces[API_ERRORS]);
    endpoint_write_pattern(&pieces[ENDPOINT_PATTERN], c);
    endpoint_write_networks(&pieces[ENDPOINT_NETWORKS], c);
}

/* With what a form is besides its file. The server knows the limit of each kind (content/upload.c). */
static uint64_t upload_max(const struct config *c)
{
    return (c->dataset_max_bytes > c->course_max_bytes ? c->dataset_max_bytes : c->course_max_bytes) + FORM_ROOM;
}

static int expand(struct buffer *out, struct buffer *pieces, const struct nginx_options *o, struct error **err)
{
    unsigned ports = write_ranges(&pieces[LISTEN_ENVIRONMENTS], o), worker_connections;

    if (ports == 0)
        return error_set(err, REASON_INVALID, "every port of the environments' range is taken by others");
    if (connections(o, ports, &worker_connections, err) < 0)
        return -1;
    write_limits(pieces, worker_connections);
    _cleanup_free_ char *workers = o->workers ? xasprintf("%u", o->workers) : xstrdup("auto");
    _cleanup_free_ char *nofile = xasprintf("%u", o->nofile ? o->nofile : DEFAULT_NOFILE);
    _cleanup_free_ char *each = xasprintf("%u", worker_connections);
    _cleanup_free_ char *upload = xasprintf("%llu", (unsigned long long)upload_max(o->config));
    _cleanup_free_ char *dashboard = config_dashboard_url(o->config);
    bool proxied = config_is_proxied(o->config);
    _cleanup_free_ char *pid = o->pid ? xstrdup(o->pid) : xasprintf("%s/nginx.pid", o->prefix);
    const struct template_value values[] = {
        {"PREFIX", str_from(o->prefix)},
        {"UPLOAD_MAX", str_from(upload)},
        {"PID", str_from(pid)},
        {"WORKERS", str_from(workers)},
        {"NOFILE", str_from(nofile)},
        {"CONNECTIONS", str_from(each)},
        {"API_SERVERS", buffer_str(&pieces[API_SERVERS])},
        {"AUTH_SERVERS", buffer_str(&pieces[AUTH_SERVERS])},
        {"API_SOCKET", str_from(o->gateway_socket)},
        {"AUTH_SOCKET", str_from(o->auth_socket)},
        {"API_PROXY", buffer_str(&pieces[API_PROXY])},
        {"PAGE_LIMITS", buffer_str(&pieces[PAGE_LIMITS])},
        {"ENVIRONMENT_LIMITS", buffer_str(&pieces[ENVIRONMENT_LIMITS])},
        {"ENDPOINT_PATTERN", buffer_str(&pieces[ENDPOINT_PATTERN])},
        {"ENDPOINT_NETWORKS", buffer_str(&pieces[ENDPOINT_NETWORKS])},
        {"WEB", str_from(o->web)},
        {"DASHBOARD_URL", str_from(dashboard)},
        {"DASHBOARD_LISTEN", buffer_str(&pieces[LISTEN_DASHBOARD])},
        {"DASHBOARD_HOSTS", buffer_str(&pieces[HOSTS])},
        {"REAL_IP", buffer_str(&pieces[REAL_IP])},
        {"TRUSTED_PROXIES", buffer_str(&pieces[TRUSTED])},
        {"PROXIED_HOSTS", buffer_str(&pieces[PROXIED_HOSTS])},
        {"ENVIRONMENT_HOSTS", buffer_str(&pieces[ENVIRONMENT_HOSTS])},
        {"PEER_ADDRESS", str_from(proxied ? "$realip_remote_addr" : "$remote_addr")},
        {"PEER_PORT", str_from(proxied ? "$realip_remote_port" : "$remote_port")},
        {"PUBLIC_SCHEME", str_from(outer_scheme(o->config))},
        {"ENVIRONMENT_SCHEME", str_from(outer_scheme(o->config))},
        {"PLAIN_HTTP",
         str_from(proxied ? "=502 /.open-hydra/pages/proxy.html" : "=308 https://$http_host$request_uri")},
        {"DASHBOARD_HEADERS", buffer_str(&pieces[HEADERS])},
        {"API_LISTEN", buffer_str(&pieces[LISTEN_API])},
        {"API_TLS", buffer_str(&pieces[API_TLS])},
        {"API_ERRORS", buffer_str(&pieces[API_ERRORS])},
        {"ENVIRONMENTS_LISTEN", buffer_str(&pieces[LISTEN_ENVIRONMENTS])},
        {"BROWSER_TLS", buffer_str(&pieces[BROWSER_TLS])},
        {"PAGES_LOCATIONS", buffer_str(&pieces[PAGES])},
    };
    return template_expand(out, template_sources[0].text, values, ARRAY_SIZE(values), err);
}

char *nginx_configuration(const struct nginx_options *o, struct error **err)
{
    struct buffer pieces[PIECES];
    _cleanup_buffer_ struct buffer out = BUFFER_MAX(CONFIGURATION_MAX);

    if (check_options(o, err) < 0)
        return NULL;
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = BUFFER_MAX(CONFIGURATION_MAX);
    write_pieces(pieces, o);
    int rc = expand(&out, pieces, o, err);
    for (size_t i = 0; i < PIECES; i++)
        buffer_free(&pieces[i]);
    return rc < 0 ? NULL : buffer_steal(&out);
}
