/* Sockets that a service manager hands over. */
#include "cli/inherit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

static void say(const char *pid, const char *count, const char *names)
{
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static void assert_forgotten(void)
{
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

/* Descriptors from 3 on, as they are handed over. */
static void hold(int n)
{
    for (int fd = 3; fd < 3 + n; fd++)
        assert_int_equal(dup2(0, fd), fd);
}

static void by_their_names(void **state)
{
    _cleanup_free_ char *own = xasprintf("%d", (int)getpid());
    int fds[SOCKETS], peers = 0;

    hold(4);
    say(own, "4", "runner:other:gateway:auth");
    assert_int_equal(inherit_sockets(fds, &peers), 3);
    assert_int_equal(peers, -1);
    assert_int_equal(fds[SOCKET_RUNNER], 3);
    assert_int_equal(fds[SOCKET_GATEWAY], 5);
    assert_int_equal(fds[SOCKET_AUTH], 6);
    assert_int_equal(fds[SOCKET_LOGS], -1);
    assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(5, F_GETFL) & O_NONBLOCK);
    assert_forgotten();
    say(own, "1", "logs");
    assert_int_equal(inherit_sockets(fds, &peers), 1);
    assert_int_equal(fds[SOCKET_LOGS], 3);
    assert_int_equal(fds[SOCKET_GATEWAY], -1);
}

/* It is none of those that are listened on: alone it leaves these to be made. */
static void the_one_for_asking(void **state)
{
    _cleanup_free_ char *own = xasprintf("%d", (int)getpid());
    int fds[SOCKETS], peers = -1;

    hold(3);
    say(own, "3", "gateway:peers:auth");
    assert_int_equal(inherit_sockets(fds, &peers), 2);
    assert_int_equal(peers, 4);
    assert_int_equal(fds[SOCKET_AUTH], 5);
    assert_true(fcntl(4, F_GETFD) & FD_CLOEXEC);
    say(own, "1", "peers");
    assert_int_equal(inherit_sockets(fds, &peers), 0);
    assert_int_equal(peers, 3);
    assert_int_equal(inherit_sockets(fds, &peers), 0);
    assert_int_equal(peers, -1);
}

static void not_those_of_others(void **state)
{
    _cleanup_free_ char *own = xasprintf("%d", (int)getpid()), *other = xasprintf("%d", (int)getppid());
    static const char *const counts[] = {"0", "-1", "x", "", "4294967297"};
    int fds[SOCKETS], peers;

    hold(2);
    say(other, "1", "gateway");
    assert_int_equal(inherit_sockets(fds, &peers), 0);
    assert_int_equal(fds[SOCKET_GATEWAY], -1);
    assert_forgotten();
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        say(own, counts[i], "gateway");
        assert_int_equal(inherit_sockets(fds, &peers), 0);
        assert_int_equal(fds[SOCKET_GATEWAY], -1);
    }
    /* No more than there are, whatever is named. */
    say(own, "1", "gateway:auth");
    assert_int_equal(inherit_sockets(fds, &peers), 1);
    assert_int_equal(fds[SOCKET_AUTH], -1);
    assert_int_equal(inherit_sockets(fds, &peers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_their_names), cmocka_unit_test(the_one_for_asking),
                                       cmocka_unit_test(not_those_of_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
