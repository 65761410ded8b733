#include "server/gateway/rules.h"

#include <strings.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/encoding.h"
#include "config/public.h"
#include "server/identity/source.h"

/* An address beyond this is not worth coming back to: the answer's headers have to fit into a buffer of nginx's. */
#define RETURN_PATH_MAX 1500

/* Browsers take a Secure cookie over plain HTTP from these alone (W3C Secure Contexts, «potentially trustworthy»). */
static bool is_loopback_name(const char *host)
{
    return streq(host, "localhost") || streq(host, "::1") || starts_with(host, "127.");
}

static bool keeps_secure_cookies(const struct config *c)
{
    return c->public_address ? public_is_secure(c) : config_browser_tls(c) || is_loopback_name(c->hosts[0]);
}

void gateway_site_init(struct gateway_site *s, const struct config *config)
{
    *s = (struct gateway_site){
        .config = config,
        .dashboard = config_dashboard_origin(config),
        .secure_cookie = keeps_secure_cookies(config),
    };
}

void gateway_site_clear(struct gateway_site *s)
{
    free(s->dashboard);
    s->dashboard = NULL;
}

static bool equal_nocase(struct str a, const char *b)
{
    return a.p && strlen(b) == a.n && strncasecmp(a.p, b, a.n) == 0;
}

static bool contains_nocase(struct str s, const char *needle)
{
    size_t n = strlen(needle);

    for (size_t i = 0; i + n <= s.n; i++)
        if (strncasecmp(s.p + i, needle, n) == 0)
            return true;
    return false;
}

static bool is_safe(const struct gateway_request *r)
{
    return str_is(r->method, "GET") || str_is(r->method, "HEAD");
}

/* A WebSocket handshake is a GET that carries no Sec-Fetch-*: its Origin is all there is. */
static struct source source_of(const struct gateway_request *r)
{
    return (struct source){r->origin, r->fetch_site, r->fetch_mode, r->fetch_dest, is_safe(r) && !r->upgrade.p};
}

bool is_navigation(const struct gateway_request *r)
{
    if (!str_is(r->method, "GET") || r->upgrade.p)
        return false;
    /* Browsers leave Sec-Fetch-* out towards plain HTTP on other than loopback addresses. */
    if (r->fetch_mode.p == NULL && r->fetch_dest.p == NULL)
        return contains_nocase(r->accept, "text/html");
    const struct source source = source_of(r);
    return source_is_document(&source);
}

bool is_work(const struct gateway_request *r)
{
    return !is_safe(r) || r->upgrade.p || is_navigation(r);
}

bool is_visit(const struct gateway_request *r)
{
    return !is_safe(r) || is_navigation(r);
}

const char *environment_origin(const struct gateway_site *s, struct arena *arena, uint16_t port)
{
    _cleanup_free_ char *origin = config_environment_origin(s->config, port);
    return arena_strdup(arena, origin);
}

static const char *host_of(const char *origin)
{
    return strstr(origin, "//") + 2;
}

static struct gateway_verdict refusal(const char *page)
{
    return (struct gateway_verdict){.kind = REFUSE, .page = page};
}

static bool is_known_host(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena)
{
    return r->host.p && config_host_allowed(s->config, arena_strndup(arena, r->host.p, r->host.n), r->own_port);
}

/* To the proxy before us, whose listener for plain HTTP passes it on as well. */
static bool is_other_scheme(const struct gateway_site *s, const struct gateway_request *r)
{
    return s->config->public_address && r->proxied && !str_is(r->scheme, public_is_https(s->config) ? "https" : "http");
}

struct gateway_verdict request_check_host(const struct gateway_site *s, const struct gateway_request *r,
                                          struct arena *arena)
{
    const char *origin = environment_origin(s, arena, r->port);
    bool is_own = equal_nocase(r->host, host_of(origin));

    if (is_own && !is_other_scheme(s, r))
        return (struct gateway_verdict){.kind = PASS};
    if (!is_own && !is_known_host(s, r, arena))
        return refusal("bad-host");
    /* It would come back by the same proxy under the same wrong name, for ever. */
    if (!is_own && r->proxied && s->config->public_address)
        return refusal("proxy");
    if (!str_is(r->method, "GET") || r->upgrade.p)
        return refusal("bad-host");
    /* Cookies are tied to the first name, so that all others lead there. */
    return (struct gateway_verdict){.kind = REDIRECT,
                                    .location = arena_printf(arena, "%s%s", origin, safe_path(arena, r->uri))};
}

static bool is_worker_script(const struct gateway_request *r)
{
    return r->service_worker.p || str_is(r->fetch_dest, "serviceworker");
}

struct gateway_verdict request_check_source(const struct gateway_site *s, const struct gateway_request *r,
                                            bool allow_workers, struct arena *arena)
{
    struct gateway_verdict host = request_check_host(s, r, arena);
    const struct source source = source_of(r);

    if (host.kind != PASS)
        return host;
    if (source_is_foreign_page(&source, environment_origin(s, arena, r->port)) || source_is_foreign_site(&source))
        return refusal(NULL);
    /* A service worker would stay in the visitor's browser and see what comes later. */
    if (is_worker_script(r) && !allow_workers)
        return refusal(NULL);
    return (struct gateway_verdict){.kind = PASS};
}

bool may_redeem(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena)
{
    const struct source source = source_of(r);

    if (source_is_own(&source, s->dashboard))
        return str_is(r->method, "POST") || str_is(r->method, "OPTIONS");
    if (r->origin.p && !source_is_own(&source, environment_origin(s, arena, r->port)))
        return false;
    if (source_is_foreign_fetch(&source))
        return str_is(r->method, "GET") && source_is_document(&source);
    return str_is(r->method, "GET") || str_is(r->method, "POST");
}

static bool needs_escape(char c)
{
    return (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f || strchr("\"<>\\^`{|}", c);
}

const char *safe_path(struct arena *arena, struct str path)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(3 * RETURN_PATH_MAX);

    /* «//host» and «/\host» are other origins to a browser. */
    if (path.n == 0 || path.n > RETURN_PATH_MAX || path.p[0] != '/' ||
        (path.n > 1 && (path.p[1] == '/' || path.p[1] == '\\')))
        return "/";
    for (size_t i = 0; i < path.n; i++) {
        if (needs_escape(path.p[i]))
            buffer_printf(&b, "%%%02X", (unsigned char)path.p[i]);
        else
            buffer_append(&b, &path.p[i], 1);
    }
    return arena_strndup(arena, b.p, b.n);
}

const char *dashboard_open_url(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena)
{
    const char *wanted = arena_printf(arena, "%s%s", environment_origin(s, arena, r->port), safe_path(arena, r->uri));
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(16 * RETURN_PATH_MAX);

    buffer_printf(&b, "%s/open?to=", s->dashboard);
    buffer_percent_encode(&b, str_from(wanted));
    return arena_strndup(arena, b.p, b.n);
}

struct gateway_verdict ask_to_log_in(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena)
{
    const struct gateway_request front = {.uri = STR("/"), .port = r->port};

    if (!is_navigation(r))
        return (struct gateway_verdict){.kind = LOGIN, .location = dashboard_open_url(s, &front, arena)};
    return (struct gateway_verdict){.kind = REDIRECT, .location = dashboard_open_url(s, r, arena)};
}
