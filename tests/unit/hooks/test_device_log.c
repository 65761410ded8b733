/* A device's log, as the server hands it on from the runner; the runner is the test itself. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "unit/client/peer.h"
#include "unit/hooks/world.h"

#define LOG "devices/a/log"
#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define LOGS_MAX 64

static char socket_path[128];
static int runner;

static int setup(void **state)
{
    world_start(3, 16);
    snprintf(socket_path, sizeof(socket_path), "%s/logs", world.f.directory);
    runner = listen_unix(socket_path, 0600, NULL);
    assert_true(runner >= 0);
    world.context.logs_socket = socket_path;
    make_user("a", 2, NULL);
    make_device(201, "a");
    return 0;
}

static int teardown(void **state)
{
    close(runner);
    world_stop();
    return 0;
}

static struct watching *ask(const char *query)
{
    _cleanup_free_ char *path = xasprintf(GROUP LOG "%s", query);

    return send_alone(&world.f, &(struct call){.path = path});
}

/* The connection on which the server asks the runner. */
static int asked(char *request, size_t max)
{
    assert_int_equal(poll(&(struct pollfd){.fd = runner, .events = POLLIN}, 1, -1), 1);
    int fd = accept(runner, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(peer_read_request(fd, request, max) > 0);
    return fd;
}

static int asked_again(void)
{
    char request[4096];
    return asked(request, sizeof(request));
}

static void say(int fd, const char *text)
{
    assert_int_equal(write_all(fd, text, strlen(text), NULL), 0);
}

static void wait_for_answer(const struct watching *w)
{
    while (!is_answered(w))
        usleep(1000);
}

/* The server lets the connection go. */
static void assert_let_go(int fd)
{
    char c;

    assert_int_equal(read(fd, &c, 1), 0);
    close(fd);
}

static void all_of_it_is_handed_on(void **state)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a"),
                        *all = xasprintf("GET /devices/%s/log?follow=false&tailLines=100000 HTTP/1.1\r\n", uid),
                        *some = xasprintf("GET /devices/%s/log?follow=true&tailLines=5 HTTP/1.1\r\n", uid);
    char request[4096];
    struct watching *w = ask("");
    int fd = asked(request, sizeof(request));

    assert_true(starts_with(request, all));
    say(fd, HEAD "one\n");
    say(fd, "two\n");
    close(fd);
    struct answer *a = answer_of(w);
    assert_int_equal(a->code, 200);
    assert_true(answer_has_header(a, "Content-Type: text/plain; charset=utf-8"));
    assert_true(answer_has_header(a, "X-Content-Type-Options: nosniff"));
    assert_true(answer_has(a, "one\n"));
    assert_true(answer_has(a, "two\n"));
    w = ask("?follow=true&tailLines=5");
    fd = asked(request, sizeof(request));
    assert_true(starts_with(request, some));
    say(fd, HEAD);
    close(fd);
    assert_int_equal(answer_of(w)->code, 200);
    /* None of the runner's. */
    assert_true(
        answer_has(expect(400, call(&world.f, &(struct call){.path = GROUP LOG "?tailLines=100001"})), "tailLines"));
    expect(400, call(&world.f, &(struct call){.path = GROUP LOG "?tailLines=-1"}));
}

/* An environment may be silent for hours. */
static void the_answer_begins_with_the_runners(void **state)
{
    struct watching *w = ask("?follow=true");
    int fd = asked_again();

    assert_false(is_answered(w));
    say(fd, "HTTP/1.1 200 OK\r\n");
    wait_for_answer(w);
    say(fd, "\r\nlate\n");
    close(fd);
    assert_true(answer_has(answer_of(w), "late\n"));
}

static void what_the_runner_refuses(void **state)
{
    static const struct {
        const char *says; /* NULL: it closes the connection */
        long code;
        const char *message;
        bool again; /* Retry-After */
    } cases[] = {
        {"HTTP/1.1 404 X\r\nConnection: close\r\n\r\nno container", 404, "no container (yet)", false},
        {"HTTP/1.1 429 X\r\nConnection: close\r\n\r\n64 logs already\n", 429, "the runner: 64 logs already\"", true},
        {"HTTP/1.1 503 X\r\nConnection: close\r\n\r\nno descriptor is left\n", 503, "the runner: no descriptor is left",
         true},
        {"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 503, "the runner: ", true},
        {"HTTP/1.1 204 X\r\n\r\n", 503, "the runner: ", true},
        {"nonsense\r\n\r\n", 503, "the runner does not answer", true},
        {NULL, 503, "the runner does not answer", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct watching *w = ask("");
        int fd = asked_again();
        if (cases[i].says)
            say(fd, cases[i].says);
        close(fd);
        struct answer *a = expect(cases[i].code, answer_of(w));
        if (!answer_has(a, cases[i].message))
            fail_msg("case %zu: %s", i, buffer_str(&a->body).p);
        assert_int_equal(answer_has_header(a, "Retry-After: 5"), cases[i].again);
    }
    world.context.logs_socket = "/nowhere";
    assert_true(
        answer_has(expect(503, call(&world.f, &(struct call){.path = GROUP LOG})), "the runner does not answer"));
}

/* Before the runner answered, before it said anything, and in the middle. */
static void a_reader_that_goes(void **state)
{
    static const char *const said[] = {"", HEAD, HEAD "one\n"};

    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        struct watching *w = ask("?follow=true");
        int fd = asked_again();
        say(fd, said[i]);
        if (said[i][0])
            wait_for_answer(w);
        watch_free(w);
        assert_let_go(fd);
    }
}

/* What is written until nobody takes any more. */
static size_t write_what_fits(int fd)
{
    static char piece[65536];
    size_t total = 0;
    ssize_t n;

    memset(piece, 'x', sizeof(piece));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    while (total < (size_t)64 << 20) {
        n = write(fd, piece, sizeof(piece));
        if (n > 0)
            total += (size_t)n;
        else if (errno != EAGAIN || poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 300) == 0)
            break;
    }
    return total;
}

static size_t count_x(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == 'x';
    return n;
}

/* A reader that takes nothing stops the runner, and loses nothing. */
static void a_slow_reader(void **state)
{
    struct watching *w = ask("?follow=true");
    int fd = asked_again();

    say(fd, HEAD);
    size_t written = write_what_fits(fd);
    assert_in_range(written, 65536, (size_t)8 << 20);
    close(fd);
    struct answer *a = answer_of(w);
    assert_int_equal(a->code, 200);
    assert_int_equal(count_x(buffer_str(&a->body)), written);
    /* One that takes nothing, and goes. */
    w = ask("?follow=true");
    fd = asked_again();
    say(fd, HEAD);
    write_what_fits(fd);
    watch_free(w);
    while (poll(&(struct pollfd){.fd = fd, .events = POLLHUP}, 1, -1) <= 0)
        ;
    close(fd);
}

/* -1: it was refused. */
static int asked_or_refused(struct watching *w)
{
    while (!is_answered(w))
        if (poll(&(struct pollfd){.fd = runner, .events = POLLIN}, 1, 1) > 0)
            return asked_again();
    struct answer *a = expect(429, answer_of(w));
    assert_true(answer_has(a, "64 logs are being read already"));
    assert_true(answer_has_header(a, "Retry-After: 5"));
    return -1;
}

static void only_so_many_at_a_time(void **state)
{
    struct watching *w[LOGS_MAX];
    int fd[LOGS_MAX], another;

    for (size_t i = 0; i < LOGS_MAX; i++) {
        w[i] = ask("?follow=true");
        fd[i] = asked_or_refused(w[i]);
        assert_true(fd[i] >= 0);
    }
    assert_int_equal(asked_or_refused(ask("")), -1);
    /* A place becomes free when a reader goes. */
    watch_free(w[7]);
    assert_let_go(fd[7]);
    do {
        w[7] = ask("?follow=true");
        another = asked_or_refused(w[7]);
    } while (another < 0);
    fd[7] = another;
    for (size_t i = 0; i < LOGS_MAX; i++) {
        say(fd[i], HEAD);
        close(fd[i]);
        assert_int_equal(answer_of(w[i])->code, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(all_of_it_is_handed_on),  TEST(the_answer_begins_with_the_runners),
        TEST(what_the_runner_refuses), TEST(a_reader_that_goes),
        TEST(a_slow_reader),           TEST(only_so_many_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
