#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/str.h"
#include "config/listen.h"

static int parse_ports(struct str text, struct listen_address *out)
{
    struct str first;
    unsigned long long a, b;

    str_split(&text, '-', &first);
    if (str_to_u64(first, 65535, &a) < 0 || a == 0)
        return -1;
    b = a;
    if (text.p && (str_to_u64(text, 65535, &b) < 0 || b < a))
        return -1;
    out->first = (uint16_t)a;
    out->last = (uint16_t)b;
    return 0;
}

int listen_parse(const char *text, struct listen_address *out, struct error **err)
{
    const char *colon = strrchr(text, ':');
    struct listen_address parsed = {0};

    if (colon == NULL || parse_ports(str_from(colon + 1), &parsed) < 0)
        return error_set(err, REASON_INVALID, "\"%s\": expected HOST:PORT or HOST:FIRST-LAST", text);
    struct str host = {text, (size_t)(colon - text)};
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = (struct str){host.p + 1, host.n - 2};
    parsed.host =
        host.n == 0 || str_is(host, "localhost") ? xstrdup(host.n ? "127.0.0.1" : "0.0.0.0") : xstrndup(host.p, host.n);
    if (!is_address(parsed.host)) {
        free(parsed.host);
        return error_set(err, REASON_INVALID, "\"%s\": the host must be an IP address of this machine", text);
    }
    *out = parsed;
    return 0;
}

bool listen_is_loopback(const struct listen_address *a)
{
    return starts_with(a->host, "127.") || streq(a->host, "::1");
}

bool listen_is_wildcard(const struct listen_address *a)
{
    return streq(a->host, "0.0.0.0") || streq(a->host, "::");
}

char *first_address_of_this_machine(void)
{
    struct ifaddrs *all, *at;
    char text[INET_ADDRSTRLEN];
    char *found = NULL;

    if (getifaddrs(&all) < 0)
        return NULL;
    for (at = all; at && !found; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) ||
            !(at->ifa_flags & IFF_UP))
            continue;
        struct sockaddr_in in;
        memcpy(&in, at->ifa_addr, sizeof(in));
        if (inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)))
            found = xstrdup(text);
    }
    freeifaddrs(all);
    return found;
}
