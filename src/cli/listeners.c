#include "cli/listeners.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/io.h"

#define VARIABLE_MAX ((size_t)1 << 20)

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_listener(union address *a, const char *host, uint16_t port)
{
    *a = (union address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1)
        return sizeof(a->v6);
    *a = (union address){.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    return inet_pton(AF_INET, host, &a->v4.sin_addr) == 1 ? sizeof(a->v4) : 0;
}

static void set_socket_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

/* -1: not to be had. */
static int open_one(const char *host, uint16_t port)
{
    union address a;
    socklen_t n = parse_listener(&a, host, port);
    _cleanup_close_ int fd = n ? socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0)
        return -1;
    set_socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (a.any.sa_family == AF_INET6)
        set_socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, LISTENERS_PEER_TIMEOUT_MS);
    return bind(fd, &a.any, n) < 0 ? -1 : steal_fd(fd);
}

static size_t open_range(struct buffer *b, const struct listen_address *at)
{
    size_t count = 0;

    for (unsigned port = at->first; port <= at->last; port++) {
        int fd = open_one(at->host, (uint16_t)port);
        if (fd < 0)
            continue;
        buffer_printf(b, "%d;", fd);
        count++;
    }
    return count;
}

size_t listeners_open(const struct config *c)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(VARIABLE_MAX);
    size_t n = open_range(&b, &c->dashboard) + open_range(&b, &c->api) + open_range(&b, &c->environments);

    if (n)
        setenv("NGINX", b.p, 1);
    return n;
}
