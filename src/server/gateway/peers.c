#include "server/gateway/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/thread.h"

#define TEXT_MAX 64
#define NOBODY ((uid_t)-1)

struct peers {
    pthread_mutex_t lock;
    int fd;
    uint32_t sequence;
};

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

/* In the form that the kernel compares: an IPv4 one never within an IPv6 one. */
struct address {
    int family;
    uint32_t words[4];
};

int peers_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/* A service manager's socket outlives us, and may hold an answer that one who was killed had asked for. */
static void drop_answers(int fd)
{
    char some[64];

    while (recv(fd, some, sizeof(some), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
        continue;
}

struct peers *peers_new(int fd)
{
    struct peers *p = xcalloc(1, sizeof(*p));

    drop_answers(fd);
    pthread_mutex_init(&p->lock, NULL);
    p->fd = fd;
    return p;
}

void peers_free(struct peers *p)
{
    if (p == NULL)
        return;
    if (p->fd >= 0)
        close(p->fd);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool read_address(struct str text, struct address *out)
{
    char copy[TEXT_MAX];
    struct in6_addr v6;

    *out = (struct address){0};
    snprintf(copy, sizeof(copy), "%.*s", text.n < TEXT_MAX ? (int)text.n : TEXT_MAX, text.n ? text.p : "");
    if (inet_pton(AF_INET, copy, out->words) == 1) {
        out->family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &v6) != 1)
        return false;
    out->family = IN6_IS_ADDR_V4MAPPED(&v6) ? AF_INET : AF_INET6;
    if (out->family == AF_INET)
        memcpy(out->words, &v6.s6_addr[12], 4);
    else
        memcpy(out->words, &v6, sizeof(v6));
    return true;
}

static bool is_same(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

static bool is_loopback(const struct address *a)
{
    return a->family == AF_INET ? (ntohl(a->words[0]) >> 24) == 127
                                : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(const void *)a->words);
}

static bool ask(struct peers *p, const struct inet_diag_sockid *id, int family)
{
    const struct question q = {
        .header = {.nlmsg_len = sizeof(q),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = ++p->sequence},
        .request = {.sdiag_family = (uint8_t)family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = UINT32_MAX,
                    .id = *id},
    };
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    return sendto(p->fd, &q, sizeof(q), MSG_DONTWAIT, (const struct sockaddr *)&kernel, sizeof(kernel)) == sizeof(q);
}

/* The kernel has answered before sendto returns. Where no connection is found it tells of who listens at that port,
 * whose own peer has no port. */
static uid_t read_answer(struct peers *p, const struct inet_diag_sockid *id)
{
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    ssize_t n;

    while ((n = recv(p->fd, &answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
        if (!NLMSG_OK(&answer.header, (unsigned)n) || answer.header.nlmsg_seq != p->sequence)
            continue;
        const struct inet_diag_msg *m = NLMSG_DATA(&answer.header);
        if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY || answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
            return NOBODY;
        return m->id.idiag_dport == id->idiag_dport ? m->idiag_uid : NOBODY;
    }
    return NOBODY;
}

uid_t peers_uid(struct peers *p, const struct peer *peer)
{
    struct address theirs, own;
    /* As the client's own socket sees it. */
    struct inet_diag_sockid id = {.idiag_sport = htons(peer->port),
                                  .idiag_dport = htons(peer->own_port),
                                  .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}};

    if (p->fd < 0 || !read_address(peer->address, &theirs) || !read_address(peer->own_address, &own) ||
        !(is_loopback(&theirs) || is_same(&theirs, &own)))
        return NOBODY;
    memcpy(id.idiag_src, theirs.words, sizeof(theirs.words));
    memcpy(id.idiag_dst, own.words, sizeof(own.words));
    LOCK_SCOPE(&p->lock);
    return ask(p, &id, theirs.family) ? read_answer(p, &id) : NOBODY;
}
