/* Whose process is at the other end, asked of a real kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ifaddrs.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/io.h"
#include "server/gateway/peers.h"

#define NONE ((uid_t)-1)
#define STRANGER 65534

static struct peers *peers;

static int setup(void **state)
{
    peers = peers_new(peers_socket());
    return 0;
}

static int teardown(void **state)
{
    peers_free(peers);
    return 0;
}

union any {
    struct sockaddr plain;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union any loopback(int family, uint16_t port)
{
    union any a = {.plain = {.sa_family = (sa_family_t)family}};

    if (family == AF_INET) {
        a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.v4.sin_port = htons(port);
    } else {
        a.v6.sin6_addr = in6addr_loopback;
        a.v6.sin6_port = htons(port);
    }
    return a;
}

static uint16_t port_of(int fd)
{
    union any a;
    socklen_t n = sizeof(a);

    assert_int_equal(getsockname(fd, &a.plain, &n), 0);
    return ntohs(a.plain.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

static int listener(int family)
{
    union any a = loopback(family, 0);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, &a.plain, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int dial(int family, uint16_t port)
{
    union any a = loopback(family, port);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &a.plain, sizeof(a)), 0);
    return fd;
}

static uid_t ask(const char *address, uint16_t port, const char *own, uint16_t own_port)
{
    const struct peer peer = {str_from(address), str_from(own), port, own_port};
    return peers_uid(peers, &peer);
}

static void our_own(void **state)
{
    static const struct {
        int family;
        const char *address, *mapped;
    } cases[] = {{AF_INET, "127.0.0.1", "::ffff:127.0.0.1"}, {AF_INET6, "::1", "0:0::1"}};

    for (size_t i = 0; i < 2; i++) {
        _cleanup_close_ int server = listener(cases[i].family), client = dial(cases[i].family, port_of(server));
        uint16_t theirs = port_of(client), own = port_of(server);
        assert_int_equal(ask(cases[i].address, theirs, cases[i].address, own), getuid());
        assert_int_equal(ask(cases[i].mapped, theirs, cases[i].mapped, own), getuid());
    }
}

static void nobody_is_found(void **state)
{
    _cleanup_close_ int server = listener(AF_INET), client = dial(AF_INET, port_of(server)), other = listener(AF_INET);
    uint16_t theirs = port_of(client), own = port_of(server);

    assert_int_equal(ask("192.0.2.1", theirs, "127.0.0.1", own), NONE);
    assert_int_equal(ask("192.0.2.1", theirs, "192.0.2.1", own), NONE);
    assert_int_equal(ask("", theirs, "", own), NONE);
    assert_int_equal(ask("127.0.0.1", theirs, "nonsense", own), NONE);
    assert_int_equal(ask("127.0.0.1", own, "127.0.0.1", theirs + 1), NONE);
    /* Who listens at the port that is asked for is not who came from it. */
    assert_int_equal(ask("127.0.0.1", port_of(other), "127.0.0.1", own), NONE);
    /* And the next question gets its own answer. */
    assert_int_equal(ask("127.0.0.1", theirs, "127.0.0.1", own), getuid());
}

/* One of this machine's addresses beside loopback; 0: it has none. */
static in_addr_t own_address(void)
{
    struct ifaddrs *all = NULL;
    in_addr_t found = 0;

    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET)
            continue;
        in_addr_t a = ((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr.s_addr;
        if (ntohl(a) >> 24 != 127)
            found = a;
    }
    freeifaddrs(all);
    return found;
}

/* From this machine, by its address in the network: the client has that same address. */
static void by_the_own_address(void **state)
{
    union any a = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = own_address()}};
    socklen_t n = sizeof(a);
    char text[INET_ADDRSTRLEN];

    if (a.v4.sin_addr.s_addr == 0)
        skip();
    _cleanup_close_ int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, &a.plain, sizeof(a)), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, &a.plain, &n), 0);
    assert_int_equal(connect(client, &a.plain, sizeof(a)), 0);
    inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text));
    assert_int_equal(ask(text, port_of(client), text, port_of(server)), getuid());
    assert_int_equal(ask(text, port_of(client), "127.0.0.1", port_of(server)), NONE);
}

static void without_a_socket(void **state)
{
    _cleanup_close_ int server = listener(AF_INET), client = dial(AF_INET, port_of(server));
    struct peers *none = peers_new(-1);
    const struct peer peer = {STR("127.0.0.1"), STR("127.0.0.1"), port_of(client), port_of(server)};

    assert_int_equal(peers_uid(none, &peer), NONE);
    peers_free(none);
}

/* A process of another user's; it connects, tells its port, and waits. */
static pid_t start_stranger(uint16_t port, int out, int in)
{
    pid_t pid = fork();
    char byte;

    if (pid)
        return pid;
    if (setuid(STRANGER) < 0)
        _exit(1);
    int fd = dial(AF_INET, port);
    uint16_t own = port_of(fd);
    ssize_t n = write(out, &own, sizeof(own));
    n = read(in, &byte, 1);
    _exit(n < 0);
}

static void anothers(void **state)
{
    int out[2], in[2];
    uint16_t theirs;

    if (getuid() != 0)
        skip();
    _cleanup_close_ int server = listener(AF_INET);
    assert_int_equal(pipe(out) + pipe(in), 0);
    pid_t pid = start_stranger(port_of(server), out[1], in[0]);
    assert_int_equal(read(out[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(ask("127.0.0.1", theirs, "127.0.0.1", port_of(server)), STRANGER);
    assert_int_equal(write(in[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (size_t i = 0; i < 2; i++) {
        close(out[i]);
        close(in[i]);
    }
}

static void leave_an_answer(int fd, uint16_t theirs, uint16_t own)
{
    const struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question = {
        .header = {sizeof(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0},
        .request = {.sdiag_family = AF_INET,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = UINT32_MAX,
                    .id = {.idiag_sport = htons(theirs),
                           .idiag_dport = htons(own),
                           .idiag_src = {htonl(INADDR_LOOPBACK)},
                           .idiag_dst = {htonl(INADDR_LOOPBACK)},
                           .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    char byte;

    assert_int_equal(send(fd, &question, sizeof(question), 0), sizeof(question));
    assert_int_equal(recv(fd, &byte, 1, MSG_PEEK), 1);
}

/* The socket is the service manager's and outlives who asked, at whatever moment that one was killed. */
static void what_another_had_asked(void **state)
{
    int out[2], in[2], fd = peers_socket();
    uint16_t theirs;

    if (getuid() != 0)
        skip();
    _cleanup_close_ int server = listener(AF_INET), client = dial(AF_INET, port_of(server));
    assert_int_equal(pipe(out) + pipe(in), 0);
    pid_t pid = start_stranger(port_of(server), out[1], in[0]);
    assert_int_equal(read(out[0], &theirs, sizeof(theirs)), sizeof(theirs));
    for (size_t i = 0; i < 2; i++)
        leave_an_answer(fd, theirs, port_of(server));
    struct peers *next = peers_new(fd);
    const struct peer peer = {STR("127.0.0.1"), STR("127.0.0.1"), port_of(client), port_of(server)};
    assert_int_equal(peers_uid(next, &peer), getuid());
    peers_free(next);
    assert_int_equal(write(in[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (size_t i = 0; i < 2; i++) {
        close(out[i]);
        close(in[i]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(our_own),          T(nobody_is_found), T(by_the_own_address),
                                       T(without_a_socket), T(anothers),        T(what_another_had_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
