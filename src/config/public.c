#include "config/public.h"

#include <string.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/log.h"

#define PORT "{port}"
#define DASHBOARD "publicAddress"
#define ENVIRONMENTS "environmentPublicAddress"

/* --- One origin --- */

struct origin {
    bool https;
    struct str host; /* no brackets */
    unsigned port;   /* 0: the scheme's own */
};

static char *lower_case(const char *text)
{
    char *copy = xstrdup(text);

    for (char *c = copy; *c; c++)
        *c = ascii_tolower(*c);
    return copy;
}

static int expected(const char *key, const char *text, struct error **err)
{
    return error_set(err, REASON_INVALID, "%s: \"%s\": expected https://HOST or https://HOST:PORT%s", key, text,
                     streq(key, ENVIRONMENTS) ? ", with " PORT " as the port or in the host's first label" : "");
}

static bool cut_prefix(struct str *rest, const char *prefix)
{
    size_t n = strlen(prefix);

    if (rest->n < n || memcmp(rest->p, prefix, n) != 0)
        return false;
    *rest = (struct str){rest->p + n, rest->n - n};
    return true;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT */
static int split_authority(struct str text, struct origin *out)
{
    unsigned long long port = 0;

    if (cut_prefix(&text, "[")) {
        const char *end = memchr(text.p, ']', text.n);
        if (end == NULL)
            return -1;
        out->host = (struct str){text.p, (size_t)(end - text.p)};
        text = (struct str){end + 1, (size_t)(text.p + text.n - end - 1)};
    } else {
        const char *end = memchr(text.p, ':', text.n);
        out->host = (struct str){text.p, end ? (size_t)(end - text.p) : text.n};
        text = (struct str){text.p + out->host.n, text.n - out->host.n};
    }
    if (text.n && (!cut_prefix(&text, ":") || str_to_u64(text, 65535, &port) < 0 || port == 0))
        return -1;
    out->port = (unsigned)port;
    return 0;
}

static bool is_host(struct str host, bool brackets)
{
    _cleanup_free_ char *text = xstrndup(host.p, host.n);
    return brackets ? strchr(text, ':') && is_address(text) : is_dns_subdomain(host);
}

static int parse_origin(const char *key, const char *text, struct origin *out, struct error **err)
{
    struct str rest = str_from(text);

    *out = (struct origin){.https = cut_prefix(&rest, "https://")};
    if (!out->https && !cut_prefix(&rest, "http://"))
        return expected(key, text, err);
    size_t n = strcspn(rest.p, "/?#");
    if (n < rest.n && !streq(rest.p + n, "/"))
        return error_set(
            err, REASON_INVALID,
            "%s: \"%s\": open-hydra cannot be below a path (\"%s\"): dashboard and environments are origins of "
            "their own; give it a host name or a port",
            key, text, rest.p + n);
    rest.n = n;
    if (split_authority(rest, out) < 0 || !is_host(out->host, rest.n && rest.p[0] == '['))
        return expected(key, text, err);
    if (out->port == (out->https ? 443U : 80U))
        out->port = 0;
    return 0;
}

static bool is_loopback_host(struct str host)
{
    _cleanup_free_ char *text = xstrndup(host.p, host.n);
    return streq(text, "localhost") || streq(text, "::1") || (starts_with(text, "127.") && is_address(text));
}

static char *origin_text(const struct origin *o)
{
    bool v6 = memchr(o->host.p, ':', o->host.n) != NULL;
    _cleanup_free_ char *port = o->port ? xasprintf(":%u", o->port) : xstrdup("");

    return xasprintf("%s://%s%.*s%s%s", o->https ? "https" : "http", v6 ? "[" : "", (int)o->host.n, o->host.p,
                     v6 ? "]" : "", port);
}

/* --- The dashboard's --- */

static int complete_dashboard(struct config *c, struct error **err)
{
    _cleanup_free_ char *text = lower_case(c->public_address);
    struct origin o;

    if (parse_origin(DASHBOARD, text, &o, err) < 0)
        return -1;
    if (!o.https && !c->insecure && !is_loopback_host(o.host))
        return error_set(err, REASON_INVALID,
                         DASHBOARD
                         ": \"%s\" is plain HTTP, where passwords can be read on the network: use https, or set "
                         "insecure as well",
                         c->public_address);
    free(c->public_address);
    c->public_address = origin_text(&o);
    return 0;
}

/* --- Those of the environments --- */

/* Its own port, whatever the dashboard's is. */
static char *default_pattern(const struct origin *dashboard)
{
    const struct origin host = {dashboard->https, dashboard->host, 0};
    _cleanup_free_ char *origin = origin_text(&host);

    return xasprintf("%s:" PORT, origin);
}

static void cut_suffix(char *text, const char *suffix)
{
    if (ends_with(text, suffix))
        text[strlen(text) - strlen(suffix)] = '\0';
}

/* Cut in two at the port; what is beside it decides which of the two ways it is. */
static int split_pattern(const char *text, struct public_pattern *out)
{
    const char *at = strstr(text, PORT);

    if (at == NULL || strstr(at + 1, PORT))
        return -1;
    out->before = xstrndup(text, (size_t)(at - text));
    out->after = xstrdup(at + strlen(PORT));
    cut_suffix(out->after, "/");
    cut_suffix(out->after, starts_with(text, "https:") ? ":443" : ":80");
    const char *host = strstr(out->before, "//");
    out->is_named = !ends_with(out->before, ":");
    if (host == NULL)
        return -1;
    /* A label of its own, below a name: what a certificate and a policy with a wildcard are good for. */
    bool fits = out->is_named ? !strchr(host, '.') && strchr(out->after, '.') : !*out->after || *out->after == '/';
    return fits ? 0 : -1;
}

/* Browsers drop the environments' cookies where the dashboard's page, which fetches them, is of another site. Which
 * names are one site is a list of thousands; this takes no wrong one that is likely. */
static bool is_one_site(struct str dashboard, struct str environment)
{
    const char *dot = memchr(dashboard.p, '.', dashboard.n);
    struct str parent = dashboard;

    if (str_equal(dashboard, environment))
        return true;
    if (dot && memchr(dot + 1, '.', dashboard.n - (size_t)(dot + 1 - dashboard.p)))
        parent = (struct str){dot + 1, dashboard.n - (size_t)(dot + 1 - dashboard.p)};
    _cleanup_free_ char *text = xstrndup(dashboard.p, dashboard.n);
    return !is_address(text) && environment.n > parent.n && environment.p[environment.n - parent.n - 1] == '.' &&
           memcmp(environment.p + environment.n - parent.n, parent.p, parent.n) == 0;
}

static int check_environment(const struct config *c, const struct origin *dashboard, const char *said, uint16_t port,
                             struct error **err)
{
    _cleanup_free_ char *text = public_environment_origin(c, port);
    struct origin o;

    if (parse_origin(ENVIRONMENTS, text, &o, err) < 0)
        return -1;
    if (o.https != dashboard->https)
        return error_set(err, REASON_INVALID, ENVIRONMENTS ": \"%s\": expected the scheme of " DASHBOARD " (%s)", said,
                         dashboard->https ? "https" : "http");
    if (!is_one_site(dashboard->host, o.host))
        return error_set(err, REASON_INVALID,
                         ENVIRONMENTS ": \"%s\" is another site than " DASHBOARD
                                      ", and browsers would drop its cookies: use a "
                                      "name below that one, or beside it",
                         said);
    return 0;
}

static int check_apart(const struct config *c, struct error **err)
{
    for (unsigned port = c->environments.first; port <= c->environments.last; port++) {
        _cleanup_free_ char *one = public_environment_origin(c, (uint16_t)port);
        if (streq(one, c->public_address))
            return error_set(err, REASON_INVALID, DASHBOARD ": %s is an environment's address as well", one);
    }
    return 0;
}

static int complete_environments(struct config *c, struct error **err)
{
    struct origin dashboard;

    if (parse_origin(DASHBOARD, c->public_address, &dashboard, err) < 0)
        return -1;
    _cleanup_free_ char *said =
        c->environment_public_address ? lower_case(c->environment_public_address) : default_pattern(&dashboard);
    if (split_pattern(said, &c->public_environments) < 0)
        return expected(ENVIRONMENTS, said, err);
    if (check_environment(c, &dashboard, said, c->environments.first, err) < 0 ||
        check_environment(c, &dashboard, said, c->environments.last, err) < 0)
        return -1;
    return check_apart(c, err);
}

/* --- Whose word is taken --- */

static int check_trusted(const char *text, struct error **err)
{
    struct network n;

    if (network_parse(str_from(text), &n) < 0)
        return error_set(err, REASON_INVALID,
                         "trustedProxies: \"%s\" is no address and no network, as 10.0.0.2 or "
                         "10.0.0.0/28 is one",
                         text);
    bool v4_within =
        starts_with(text, "::") && n.bits >= 96 && memcmp(n.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
    if (v4_within)
        return error_set(err, REASON_INVALID, "trustedProxies: \"%s\": write an IPv4 address as such", text);
    if (n.bits == 0 || (n.bits == 96 && strchr(text, '.')))
        return error_set(err, REASON_INVALID,
                         "trustedProxies: \"%s\" is everybody: any client could say that it is another", text);
    for (unsigned bit = n.bits; bit < 128; bit++)
        if (n.address[bit / 8] & (0x80U >> bit % 8))
            return error_set(err, REASON_INVALID,
                             "trustedProxies: \"%s\" has bits set behind its prefix: a whole network, or one address?",
                             text);
    return 0;
}

static int check_all_trusted(const struct config *c, struct error **err)
{
    for (char **t = c->trusted_proxies; t && *t; t++)
        if (check_trusted(*t, err) < 0)
            return -1;
    return 0;
}

int public_complete(struct config *c, struct error **err)
{
    if (check_all_trusted(c, err) < 0)
        return -1;
    if (c->public_address == NULL)
        return c->environment_public_address
                   ? error_set(err, REASON_INVALID, ENVIRONMENTS ": needs " DASHBOARD " as well")
                   : 0;
    if (complete_dashboard(c, err) < 0 || complete_environments(c, err) < 0)
        return -1;
    if (public_is_https(c) && !config_browser_tls(c) && (c->trusted_proxies == NULL || c->trusted_proxies[0] == NULL))
        log_warning(
            "publicAddress is https and the ports for browsers are not: name the proxy before them in trustedProxies, "
            "or all visitors count as one");
    return 0;
}

bool public_is_https(const struct config *c)
{
    return starts_with(c->public_address, "https:");
}

bool public_is_secure(const struct config *c)
{
    struct origin o;
    return parse_origin(DASHBOARD, c->public_address, &o, NULL) == 0 && (o.https || is_loopback_host(o.host));
}

char *public_environment_origin(const struct config *c, uint16_t port)
{
    const struct public_pattern *p = &c->public_environments;
    char *origin = xasprintf("%s%u%s", p->before, port, p->after);

    if (!p->is_named)
        cut_suffix(origin, public_is_https(c) ? ":443" : ":80");
    return origin;
}

char *public_environment_source(const struct config *c)
{
    const struct public_pattern *p = &c->public_environments;

    if (p->is_named)
        return xasprintf("%s://*%s", public_is_https(c) ? "https" : "http", strchr(p->after, '.'));
    /* The policy's language knows no range of ports, and no IPv6 addresses. */
    if (strchr(p->before, '['))
        return xasprintf("%s:", public_is_https(c) ? "https" : "http");
    return xasprintf("%s*", p->before);
}
