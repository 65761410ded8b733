#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "server/gateway/gateway.h"

static int bind_v4(int fd, const struct in_addr *address, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = *address};
    return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

static int bind_v6(int fd, const struct in6_addr *address, uint16_t port)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = *address};
    int on = 1;

    /* As nginx does: [::] is not 0.0.0.0 too. */
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return -1;
    return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

int gateway_probe_port(const char *host, uint16_t port)
{
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v6 = inet_pton(AF_INET6, host, &v6) == 1;
    int on = 1;

    if (!is_v6 && inet_pton(AF_INET, host, &v4) != 1)
        return EADDRNOTAVAIL;
    _cleanup_close_ int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    /* As nginx does, so that old connections in TIME_WAIT do not count; somebody who listens does. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return errno;
    return (is_v6 ? bind_v6(fd, &v6, port) : bind_v4(fd, &v4, port)) < 0 ? errno : 0;
}

int gateway_probe_ports(const struct config *config, uint16_t *taken, size_t max, struct error **err)
{
    const struct listen_address *range = &config->environments;
    size_t n = 0;

    for (unsigned port = range->first; port <= range->last && n < max; port++) {
        int rc = gateway_probe_port(range->host, (uint16_t)port);
        if (rc == EADDRINUSE)
            taken[n++] = (uint16_t)port;
        else if (rc != 0)
            return error_errno(err, rc, "environments: %s:%u", range->host, port);
    }
    return (int)n;
}
