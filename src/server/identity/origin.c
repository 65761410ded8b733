#include "server/identity/origin.h"

#include <string.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/str.h"
#include "server/identity/source.h"

#define HOST_MAX 253

/* HOST or HOST:PORT or [ADDRESS]:PORT (RFC 9110 §7.2). */
struct host_port {
    char host[HOST_MAX + 1];
    uint16_t port; /* 0: not said */
};

static int parse_port(struct str s, uint16_t *port)
{
    unsigned long long n;

    if (str_to_u64(s, UINT16_MAX, &n) < 0 || n == 0)
        return -1;
    *port = (uint16_t)n;
    return 0;
}

static int parse_host(const char *text, struct host_port *out)
{
    struct str host = str_from(text);
    const char *end = NULL;

    *out = (struct host_port){0};
    if (host.n && text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return -1;
        host = (struct str){text + 1, (size_t)(end - text - 1)};
        end++;
    } else {
        end = strchrnul(text, ':');
        host.n = (size_t)(end - text);
    }
    if (host.n == 0 || host.n > HOST_MAX)
        return -1;
    for (size_t i = 0; i < host.n; i++)
        out->host[i] = ascii_tolower(host.p[i]);
    return *end == ':' ? parse_port(str_from(end + 1), &out->port) : 0;
}

static bool knows_host(const struct origin_policy *policy, const char *host)
{
    for (const char *const *h = policy->hosts; *h; h++)
        if (strcasecmp(*h, host) == 0)
            return true;
    return policy->any_address && is_address(host);
}

static bool is_public(const struct origin_policy *policy, const char *host)
{
    return policy->public && host && strcasecmp(host, strstr(policy->public, "//") + 2) == 0;
}

int origin_check_host(const struct origin_policy *policy, const char *host, struct error **err)
{
    struct host_port at;

    if (is_public(policy, host))
        return 0;
    if (host == NULL || parse_host(host, &at) < 0)
        return error_set(err, REASON_BAD_REQUEST, "the request names no valid Host");
    if (at.port == 0)
        at.port = policy->tls ? 443 : 80;
    if (at.port != policy->port || !knows_host(policy, at.host))
        return error_set(err, REASON_FORBIDDEN,
                         "this server is not known as \"%s\": use the address that it printed at its start, or set "
                         "serverIP (behind a proxy: publicAddress)",
                         host);
    return 0;
}

/* The Host was checked before: the own origin is the one that belongs to it. Browsers leave out the default port in
 * both. NULL: there is none. */
static char *own_origin(const struct origin_policy *policy, const struct origin_request *r)
{
    if (policy && is_public(policy, r->host))
        return xstrdup(policy->public);
    return policy && r->host ? xasprintf("%s://%s", policy->tls ? "https" : "http", r->host) : NULL;
}

int origin_check_source(const struct origin_policy *policy, const struct origin_request *r, struct error **err)
{
    const struct source source = {.origin = str_from(r->origin),
                                  .fetch_site = str_from(r->fetch_site),
                                  .fetch_mode = str_from(r->fetch_mode),
                                  .fetch_dest = str_from(r->fetch_dest),
                                  .reads = r->method == HTTP_GET || r->method == HTTP_HEAD};
    _cleanup_free_ char *own = own_origin(policy, r);

    if (source_is_foreign_page(&source, own))
        return error_set(err, REASON_FORBIDDEN, "a page of %s may not do this", r->origin);
    if (source_is_foreign_site(&source))
        return error_set(err, REASON_FORBIDDEN, "a page of another site may not ask for this");
    return 0;
}
