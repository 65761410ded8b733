/* Requests and answers: what a handler sees of a request, immediate and deferred answers, limits, who may connect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "http/body.h"
#include "http/server.h"
#include "unit/http/client.h"

/* --- A handler that tells what it saw --- */

static void echo(struct http_exchange *x, void *arg)
{
    struct buffer b = BUFFER_MAX(4 << 20);
    const char *name, *value;
    struct str path = http_path(x), body = http_body(x);

    buffer_printf(&b, "%s %.*s", http_method_name(x), (int)path.n, path.p);
    for (size_t at = 0; http_next_query(x, &at, &name, &value);)
        buffer_printf(&b, " [%s=%s]", name, value);
    const char *header = http_header(x, "x-TEST");
    buffer_printf(&b, " header=%s body=%zu:", header ? header : "none", body.n);
    buffer_append(&b, body.p, body.n < 100 ? body.n : 100);
    http_add_header(x, "X-One", "1");
    http_add_header(x, "X-Two", "bad\r\nSet-Cookie: smuggled=1");
    http_add_header(x, "X-Three", "3");
    http_reply(x, 200, "text/plain", buffer_str(&b));
    buffer_free(&b);
}

static void check_echo(const char *request, const char *expected)
{
    struct fixture f;
    struct http_options o = default_options();

    fixture_start(&f, &o, echo, NULL);
    _cleanup_free_ char *answer = client_request(&f, request);
    if (strstr(answer, expected) == NULL)
        fail_msg("no '%s' in:\n%s", expected, answer);
    assert_null(strstr(answer, "smuggled"));
    fixture_cleanup(&f);
}

static void test_request(void **state)
{
    check_echo("GET /a%2Fb?x=1&y=a+b%21&x=2&flag&bad=%zz&nul=%00&=e HTTP/1.1\r\nHost: h\r\nX-Test: yes\r\n\r\n",
               "GET /a%2Fb [x=1] [y=a b!] [x=2] [flag=] [=e] header=yes body=0:");
    check_echo("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "POST / header=none body=5:hello");
    check_echo("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
               "PUT / header=none body=5:abcde");
    check_echo("PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", "PROPFIND / header=none");
    check_echo("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "X-Three: 3");
}

static void test_head_and_keep_alive(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    fixture_start(&f, &o, echo, NULL);
    int fd = client_connect(&f);
    client_send(fd, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
    client_read_response(fd, &b, true);
    assert_non_null(strcasestr(b.p, "content-length: 27"));
    assert_null(strstr(b.p, "header=none"));
    for (int i = 0; i < 3; i++) {
        buffer_clear(&b);
        client_send(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        client_read_response(fd, &b, false);
        assert_non_null(strstr(b.p, "GET /x header=none"));
    }
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* An address and headers of about that many bytes, in that many headers. */
static char *request_of(size_t uri, size_t headers, size_t count)
{
    struct buffer b = BUFFER_MAX(1 << 20);

    buffer_printf(&b, "GET /x?%0*d HTTP/1.1\r\nHost: h\r\n", (int)uri, 7);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&b, "C%zu: %0*d\r\n", i, (int)(headers / count > 8 ? headers / count - 8 : 1), 7);
    buffer_puts(&b, "X-Test: last\r\n\r\n");
    return buffer_steal(&b);
}

/* What nginx lets through, and what it adds. */
static void test_the_largest_head(void **state)
{
    _cleanup_free_ char *few = request_of(8192, 17 * 1024, 4), *usual = request_of(8192, 17 * 1024, 60),
                        *many = request_of(100, 4096, 200);

    check_echo(few, " header=last body=0");
    check_echo(usual, " header=last body=0");
    check_echo(many, " header=last body=0");
}

static void check_431(const char *request)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    fixture_start(&f, &o, echo, NULL);
    int fd = client_connect(&f);
    send(fd, request, strlen(request), MSG_NOSIGNAL);
    client_read_all(fd, &b);
    assert_true(starts_with(b.p, "HTTP/1.1 431") || starts_with(b.p, "HTTP/1.1 414"));
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static void test_a_larger_head_is_refused(void **state)
{
    _cleanup_free_ char *headers = request_of(1, 64 * 1024, 60), *uri = request_of(64 * 1024, 1, 1),
                        *tiny = request_of(1, 1, 2000);

    check_431(headers);
    check_431(uri);
    check_431(tiny);
}

static char *request_with_parameters(size_t n, const char *first)
{
    struct buffer b = BUFFER_MAX(1 << 20);

    buffer_printf(&b, "GET /x?%s", first);
    for (size_t i = 1; i < n; i++)
        buffer_puts(&b, i == n - 1 ? "&z=last" : "&");
    buffer_puts(&b, " HTTP/1.1\r\nHost: h\r\n\r\n");
    return buffer_steal(&b);
}

static void test_query_parameters(void **state)
{
    _cleanup_free_ char *most = request_with_parameters(256, "a=1"), *more = request_with_parameters(257, "a=1"),
                        *many = request_with_parameters(500, "x=yyyyyyyyyy"), *full = request_with_parameters(8000, "");

    check_echo(most, "GET /x [a=1] [z=last] header=none");
    check_echo(more, "HTTP/1.1 400");
    check_echo(many, "\"reason\":\"BadRequest\"");
    check_echo(full, "too many query parameters");
}

/* They are one header. What ends in the midst of a head leaves nothing behind (the leak check looks). */
static void test_many_cookies(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer request = BUFFER_MAX(1 << 20), b = {0};

    buffer_puts(&request, "GET / HTTP/1.1\r\nHost: h\r\nX-Test: yes\r\nCookie: ");
    for (int i = 0; i < 2000; i++)
        buffer_puts(&request, "a=b;");
    buffer_puts(&request, "\r\n\r\n");
    check_echo(request.p, " header=yes body=0");
    buffer_clear(&request);
    buffer_printf(&request, "GET / HTTP/1.1\r\nHost: h\r\nCookie: %040000d", 1);
    fixture_start(&f, &o, echo, NULL);
    int fd = client_connect(&f);
    client_send(fd, request.p);
    client_read_all(fd, &b);
    assert_null(strstr(b.n ? b.p : "", "HTTP/1.1 200"));
    close(fd);
    fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost");
    close(fd);
    buffer_free(&b);
    buffer_free(&request);
    fixture_cleanup(&f);
}

static void test_body_limit(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0}, body = BUFFER_MAX(1 << 20);

    o.max_body = 1000;
    fixture_start(&f, &o, echo, NULL);
    while (body.n < 1001)
        buffer_puts(&body, "x");
    /* Sent without waiting: read and dropped, then refused; the connection stays. */
    _cleanup_free_ char *request = xasprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n%s", body.p);
    int fd = client_connect(&f);
    client_send(fd, request);
    client_read_response(fd, &b, false);
    assert_true(starts_with(b.p, "HTTP/1.1 413"));
    assert_non_null(strstr(b.p, "\"kind\":\"Status\""));
    assert_non_null(strstr(b.p, "\"reason\":\"RequestEntityTooLarge\",\"code\":413"));
    buffer_clear(&b);
    client_send(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    client_read_response(fd, &b, false);
    assert_non_null(strstr(b.p, "body=2:ok"));
    close(fd);

    /* Expect: refused before anything is sent. */
    _cleanup_free_ char *refused =
        client_request(&f, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
    assert_true(starts_with(refused, "HTTP/1.1 413"));
    /* Announced beyond reason: the same. */
    _cleanup_free_ char *absurd =
        client_request(&f, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999\r\n\r\n");
    assert_true(starts_with(absurd, "HTTP/1.1 413"));
    /* Not announced: cut when it goes on and on. */
    fd = client_connect(&f);
    client_send(fd, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t pieces = 0;
    while (send(fd, "3e8\r\n", 5, MSG_NOSIGNAL) > 0 && send(fd, body.p, 1000, MSG_NOSIGNAL) > 0 &&
           send(fd, "\r\n", 2, MSG_NOSIGNAL) > 0)
        pieces++;
    assert_true(pieces < 600); /* five, and what the sockets hold */
    close(fd);
    buffer_free(&b);
    buffer_free(&body);
    fixture_cleanup(&f);
}

static void test_expect_continue(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    fixture_start(&f, &o, echo, NULL);
    int fd = client_connect(&f);
    client_send(fd, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client_read_until(fd, &b, "100 Continue\r\n\r\n");
    buffer_clear(&b);
    client_send(fd, "hello");
    client_read_response(fd, &b, false);
    assert_non_null(strstr(b.p, "body=5:hello"));
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static void test_malformed(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nHost h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\r\n\r\n\r\nnonsense\r\n\r\n",
    };

    fixture_start(&f, &o, echo, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buffer b = {0};
        int fd = client_connect(&f);
        client_send(fd, bad[i]);
        shutdown(fd, SHUT_WR);
        client_read_all(fd, &b);
        if (b.n)
            assert_true(starts_with(b.p, "HTTP/1.1 4"));
        close(fd);
        buffer_free(&b);
    }
    check_echo("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "header=none");
    fixture_cleanup(&f);
}

/* --- Who may connect, and how many --- */

static void test_peer(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    if (getuid() != 0)
        skip();
    o.peer_uid = 54321;
    fixture_start(&f, &o, echo, NULL);
    chmod(f.directory, 0755);
    _cleanup_free_ char *as_root = client_request(&f, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(starts_with(as_root, "HTTP/1.1 200"));

    assert_int_equal(seteuid(65534), 0);
    int fd = client_connect(&f);
    assert_int_equal(seteuid(0), 0);
    send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, MSG_NOSIGNAL);
    client_read_all(fd, &b);
    assert_int_equal(b.n, 0);
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static void test_connection_limit(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};
    int fds[4];

    o.max_connections = 3;
    fixture_start(&f, &o, echo, NULL);
    for (int i = 0; i < 3; i++) {
        buffer_clear(&b);
        fds[i] = client_connect(&f);
        client_send(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client_read_response(fds[i], &b, false);
    }
    fds[3] = client_connect(&f);
    buffer_clear(&b);
    client_read_all(fds[3], &b);
    assert_int_equal(b.n, 0);
    /* The others still work, and a place that becomes free is given again. */
    client_send(fds[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client_read_response(fds[0], &b, false);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    buffer_free(&b);
    for (int tries = 0;; tries++) {
        struct buffer again = {0};
        int fd = client_connect(&f);
        send(fd, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 46, MSG_NOSIGNAL);
        client_read_all(fd, &again);
        bool served = again.n > 0;
        close(fd);
        buffer_free(&again);
        if (served)
            break;
        assert_true(tries < 1000);
        usleep(1000);
    }
    fixture_cleanup(&f);
}

/* --- Deferred answers --- */

struct deferred {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_exchange *waiting[64];
    size_t n;
    int released;
};

static void release(void *arg)
{
    struct deferred *d = arg;
    LOCK_SCOPE(&d->lock);
    d->released++;
    pthread_cond_broadcast(&d->changed);
}

static void defer(struct http_exchange *x, void *arg)
{
    struct deferred *d = arg;
    LOCK_SCOPE(&d->lock);
    d->waiting[d->n++] = x;
    pthread_cond_broadcast(&d->changed);
}

static struct http_exchange *take(struct deferred *d)
{
    LOCK_SCOPE(&d->lock);
    while (d->n == 0)
        pthread_cond_wait(&d->changed, &d->lock);
    return d->waiting[--d->n];
}

static void deferred_init(struct deferred *d)
{
    memset(d, 0, sizeof(*d));
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
}

static void test_deferred(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct deferred d;
    struct buffer b = {0};

    deferred_init(&d);
    fixture_start(&f, &o, defer, &d);
    int fd = client_connect(&f);
    for (int i = 0; i < 20; i++) {
        buffer_clear(&b);
        client_send(fd, "POST /later?a=1 HTTP/1.1\r\nHost: h\r\nX-Test: t\r\nContent-Length: 3\r\n\r\nabc");
        struct http_exchange *x = take(&d);
        assert_string_equal(http_query(x, "a"), "1");
        assert_string_equal(http_header(x, "X-Test"), "t");
        assert_true(str_is(http_body(x), "abc"));
        if (i % 2)
            http_reply_shared(x, 201, "text/plain", STR("shared"), &d, release);
        else
            http_reply(x, 201, "text/plain", STR("copied"));
        client_read_response(fd, &b, false);
        assert_true(starts_with(b.p, "HTTP/1.1 201"));
        assert_non_null(strstr(b.p, i % 2 ? "\r\n\r\nshared" : "\r\n\r\ncopied"));
    }
    close(fd);
    fixture_cleanup(&f);
    assert_int_equal(d.released, 10);
    buffer_free(&b);
}

/* Answers from another thread may come before the handler has returned, and before the connection sleeps. */
struct racer {
    pthread_t thread;
    struct http_exchange *x;
};

static void *answer_now(void *arg)
{
    http_reply(arg, 200, "text/plain", STR("raced"));
    return NULL;
}

static void race(struct http_exchange *x, void *arg)
{
    pthread_detach(thread_start("racer", answer_now, x));
}

static void test_answer_races_with_sleep(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};
    int fds[4];

    fixture_start(&f, &o, race, NULL);
    for (int i = 0; i < 4; i++)
        fds[i] = client_connect(&f);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 4; i++)
            client_send(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        for (int i = 0; i < 4; i++) {
            buffer_clear(&b);
            client_read_response(fds[i], &b, false);
            assert_non_null(strstr(b.p, "raced"));
        }
    }
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    buffer_free(&b);
    fixture_cleanup(&f);
}

struct stopping {
    struct fixture f;
    _Atomic(struct http_exchange *) taken;
};

/* Leaves without an answer when the server has begun to stop: too late to be told with the others. */
static void leave_late(struct http_exchange *x, void *arg)
{
    struct stopping *s = arg;

    atomic_store(&s->taken, x);
    while (!atomic_load(&s->f.server->service.stopping))
        usleep(1000);
}

static void *stop_server(void *arg)
{
    http_server_stop(arg);
    return NULL;
}

static void test_stop_while_a_handler_runs(void **state)
{
    struct stopping s = {0};
    struct http_options o = default_options();
    struct buffer b = {0};

    fixture_start(&s.f, &o, leave_late, &s);
    int fd = client_connect(&s.f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!atomic_load(&s.taken))
        usleep(1000);
    pthread_t stopper = thread_start("stop", stop_server, s.f.server);
    client_read_response(fd, &b, false);
    /* 503: clients try again, and a restart is seen by nobody. */
    assert_true(starts_with(b.p, "HTTP/1.1 503"));
    assert_non_null(strstr(b.p, "\"reason\":\"ServiceUnavailable\""));
    http_reply(atomic_load(&s.taken), 200, "text/plain", STR("nobody reads it"));
    pthread_join(stopper, NULL);
    s.f.server = NULL;
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&s.f);
}

/* The peer goes while its exchange waits: the owner still answers, into nothing. */
static void test_peer_gone_while_deferred(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct deferred d;

    deferred_init(&d);
    o.max_connections = 1;
    fixture_start(&f, &o, defer, &d);
    int fd = client_connect(&f);
    client_send(fd, "GET /gone?q=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = take(&d);
    close(fd);

    /* Its place becomes free although nobody has answered. */
    struct http_exchange *second = NULL;
    for (int tries = 0; second == NULL; tries++) {
        assert_true(tries < 20000);
        fd = client_connect(&f);
        send(fd, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n", 31, MSG_NOSIGNAL);
        char c;
        struct timeval brief = {.tv_usec = 100000};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
        if (recv(fd, &c, 1, MSG_PEEK) != 0)
            second = take(&d);
        else {
            close(fd);
            usleep(1000);
        }
    }
    assert_string_equal(http_query(x, "q"), "1");
    http_reply_shared(x, 200, "text/plain", STR("nobody"), &d, release);
    assert_int_equal(d.released, 1);
    http_reply(second, 200, "text/plain", STR("somebody"));
    struct buffer b = {0};
    client_read_response(fd, &b, false);
    assert_non_null(strstr(b.p, "somebody"));
    buffer_free(&b);
    close(fd);
    fixture_cleanup(&f);
}

/* Who defers is told once that the peer has gone, or that the server stops; and nothing once the answer is given. */
struct told {
    struct deferred deferred; /* first */
    unsigned gone;
};

static void tell_gone(void *arg)
{
    struct told *t = arg;
    LOCK_SCOPE(&t->deferred.lock);
    t->gone++;
    pthread_cond_broadcast(&t->deferred.changed);
}

static void defer_and_ask(struct http_exchange *x, void *arg)
{
    http_on_gone(x, tell_gone, arg);
    defer(x, arg);
}

static void wait_gone(struct told *t, unsigned n)
{
    LOCK_SCOPE(&t->deferred.lock);
    while (t->gone < n)
        pthread_cond_wait(&t->deferred.changed, &t->deferred.lock);
}

static struct http_exchange *ask_deferred(struct told *t, const struct fixture *f, int *fd)
{
    *fd = client_connect(f);
    client_send(*fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    return take(&t->deferred);
}

static void test_told_that_peer_has_gone(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct told t = {0};
    struct buffer b = {0};
    int fd, second;

    deferred_init(&t.deferred);
    fixture_start(&f, &o, defer_and_ask, &t);
    /* Answered first: never told. */
    http_reply(ask_deferred(&t, &f, &fd), 200, "text/plain", STR("in time"));
    client_read_response(fd, &b, false);
    close(fd);
    struct http_exchange *x = ask_deferred(&t, &f, &fd), *y = ask_deferred(&t, &f, &second);
    close(fd);
    wait_gone(&t, 1);
    http_reply(x, 200, "text/plain", STR("nobody"));
    /* The other one still waits, and is told when the server stops. */
    assert_int_equal(t.gone, 1);
    fixture_stop(&f);
    assert_int_equal(t.gone, 2);
    http_reply(y, 200, "text/plain", STR("late"));
    close(second);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* --- Bodies: how large, and within which time --- */

#define S ((int64_t)1000000)

static void test_time_of_a_body(void **state)
{
    assert_false(body_is_late(10 * S, 0, 0));
    assert_true(body_is_late(10 * S + 1, 0, 0));
    assert_true(body_is_late(10 * S + 1, 65535, 0));
    assert_false(body_is_late(11 * S, 65536, 0));
    assert_true(body_is_late(11 * S + 1, 65536, 0));
    assert_false(body_is_late(58 * S, 3 << 20, 0));
    assert_true(body_is_late(58 * S + 1, 3 << 20, 0));
    assert_false(body_is_late(2 * S, 0, 2));
    assert_true(body_is_late(2 * S + 1, 0, 2));
}

static void test_late_body(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    o.body_seconds = 1;
    o.max_connections = 2;
    fixture_start(&f, &o, echo, NULL);
    int late = client_connect(&f), good = client_connect(&f);
    client_send(late, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell");
    for (int i = 0; i < 3; i++) {
        buffer_clear(&b);
        client_send(good, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        client_read_response(good, &b, false);
        assert_true(starts_with(b.p, "HTTP/1.1 200"));
    }
    buffer_clear(&b);
    client_read_all(late, &b);
    assert_true(starts_with(b.p, "HTTP/1.1 408 "));
    assert_non_null(strstr(b.p, "\"reason\":\"Timeout\",\"code\":408"));
    /* One that is idle between requests is none that comes; and the place is free again. */
    buffer_clear(&b);
    client_send(good, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    client_read_response(good, &b, false);
    assert_non_null(strstr(b.p, "body=2:hi"));
    close(late);
    close(good);
    char c = 0;
    for (int tries = 0; c != 'H'; tries++) {
        assert_true(tries < 20000);
        good = client_connect(&f);
        send(good, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, MSG_NOSIGNAL);
        if (recv(good, &c, 1, 0) <= 0)
            usleep(1000);
        close(good);
    }
    buffer_free(&b);
    fixture_cleanup(&f);
}

static atomic_uint handled;

static void count_handled(struct http_exchange *x, void *arg)
{
    atomic_fetch_add(&handled, 1);
    http_reply(x, 200, "text/plain", STR("ok"));
}

/* What was refused is not carried out when its end comes after all, without what was dropped of it. */
static void test_the_rest_of_a_late_body(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};

    o.body_seconds = 1;
    fixture_start(&f, &o, count_handled, NULL);
    int fd = client_connect(&f);
    client_send(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell");
    client_read_all(fd, &b);
    assert_true(starts_with(b.p, "HTTP/1.1 408 "));
    /* The last byte is its end; whatever goes through afterwards, the server has closed by then. */
    for (int tries = 0; send(fd, "o", 1, MSG_NOSIGNAL) == 1; tries++) {
        assert_true(tries < 20000);
        usleep(1000);
    }
    assert_int_equal(atomic_load(&handled), 0);
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* What has come gives time for the rest: a MiB sixteen seconds more. */
static void test_a_large_body_has_more_time(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};
    const size_t n = (size_t)1 << 20;
    char *piece = xcalloc(1, n);

    o.body_seconds = 3;
    o.max_body = 2 << 20;
    fixture_start(&f, &o, count_handled, NULL);
    int fd = client_connect(&f);
    client_send(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n");
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, piece + at, n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
    usleep(3500000);
    send(fd, "x", 1, MSG_NOSIGNAL);
    client_read_response(fd, &b, false);
    assert_true(starts_with(b.p, "HTTP/1.1 200"));
    close(fd);
    free(piece);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* Who does not go either is cut, and the only place is another's. */
static void test_a_late_one_that_stays(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct buffer b = {0};
    char c = 0;

    o.body_seconds = 1;
    o.max_connections = 1;
    fixture_start(&f, &o, count_handled, NULL);
    int late = client_connect(&f);
    client_send(late, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell");
    client_read_all(late, &b);
    for (int tries = 0; c != 'H'; tries++) {
        assert_true(tries < 20000);
        int fd = client_connect(&f);
        send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, MSG_NOSIGNAL);
        if (recv(fd, &c, 1, 0) <= 0)
            usleep(1000);
        close(fd);
    }
    close(late);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static int gate(struct http_exchange *x, void *arg, size_t *max, struct error **err)
{
    assert_true(http_body(x).n == 0);
    if (http_header(x, "X-Refuse")) {
        error_set(err, REASON_TOO_MANY_REQUESTS, "full");
        (*err)->retry_after = (unsigned)atoi(http_header(x, "X-Refuse"));
        return -1;
    }
    *max = http_announced(x) ? 10 : 20;
    return 0;
}

static void check_gate(const char *request, const char *expected, const char *more)
{
    struct fixture f;
    struct http_options o = default_options();

    o.body_gate = gate;
    fixture_start(&f, &o, echo, NULL);
    _cleanup_free_ char *answer = client_request(&f, request);
    if (!starts_with(answer, expected) || strstr(answer, more) == NULL)
        fail_msg("no '%s', '%s' in:\n%s", expected, more, answer);
    fixture_cleanup(&f);
}

static void test_body_gate(void **state)
{
    /* Asked only where a body follows, and before it is there. */
    check_gate("GET / HTTP/1.1\r\nHost: h\r\nX-Refuse: 1\r\n\r\n", "HTTP/1.1 200", "body=0:");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nX-Refuse: 1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200", "body=0:");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nX-Refuse: 7\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 429",
               "Retry-After: 7\r\n");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nX-Refuse: 1\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 429",
               "Retry-After: 1\r\n");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nX-Refuse: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 429",
               "\"message\":\"full\"");
    /* What comes all the same is read and dropped. */
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nX-Refuse: 1\r\nContent-Length: 9\r\n\r\n012345678", "HTTP/1.1 429",
               "full");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789", "HTTP/1.1 200", "body=10:");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789a", "HTTP/1.1 413", "limit is 10");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n", "HTTP/1.1 413", "limit is 10");
    check_gate("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n",
               "HTTP/1.1 200", "body=11:");
}

static void test_stop_with_deferred(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct deferred d;
    struct buffer b = {0};

    deferred_init(&d);
    fixture_start(&f, &o, defer, &d);
    int fd = client_connect(&f);
    client_send(fd, "GET /w HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = take(&d);
    fixture_stop(&f);
    client_read_all(fd, &b);
    assert_true(starts_with(b.p, "HTTP/1.1 503"));
    assert_non_null(strstr(b.p, "ServiceUnavailable"));
    /* The owner's answer comes after the server's end. */
    assert_true(str_is(http_path(x), "/w"));
    http_reply(x, 200, "text/plain", STR("late"));
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* The listening socket is the caller's: it takes connections between two servers, and serves the second. */
static void test_socket_survives(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    _cleanup_error_ struct error *err = NULL;
    struct buffer b = {0};

    fixture_start(&f, &o, echo, NULL);
    free(client_request(&f, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    fixture_stop(&f);
    int fd = client_connect(&f);
    client_send(fd, "GET /waited HTTP/1.1\r\nHost: h\r\n\r\n");
    o.listen_fd = f.listen_fd;
    f.server = http_server_start(&o, echo, NULL, &err);
    assert_non_null(f.server);
    client_read_response(fd, &b, false);
    assert_non_null(strstr(b.p, "GET /waited"));
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static void test_bad_socket(void **state)
{
    _cleanup_error_ struct error *err = NULL;
    struct http_options o = default_options();

    o.listen_fd = -1;
    assert_null(http_server_start(&o, echo, NULL, &err));
    assert_non_null(err);
}

static void test_idle(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct deferred d;
    struct buffer b = {0};

    deferred_init(&d);
    o.idle_seconds = 1;
    fixture_start(&f, &o, defer, &d);
    int idle = client_connect(&f), slow = client_connect(&f), waiting = client_connect(&f);
    client_send(slow, "GET / HT");
    client_send(waiting, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_exchange *x = take(&d);
    client_read_all(idle, &b);
    client_read_all(slow, &b);
    assert_true(b.n == 0 || starts_with(b.p, "HTTP/1.1 4"));
    /* A suspended connection is not idle. */
    http_reply(x, 200, "text/plain", STR("patient"));
    buffer_clear(&b);
    client_read_response(waiting, &b, false);
    assert_non_null(strstr(b.p, "patient"));
    close(idle);
    close(slow);
    close(waiting);
    buffer_free(&b);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_head_and_keep_alive),
        cmocka_unit_test(test_the_largest_head),
        cmocka_unit_test(test_a_larger_head_is_refused),
        cmocka_unit_test(test_query_parameters),
        cmocka_unit_test(test_many_cookies),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_answer_races_with_sleep),
        cmocka_unit_test(test_peer_gone_while_deferred),
        cmocka_unit_test(test_told_that_peer_has_gone),
        cmocka_unit_test(test_time_of_a_body),
        cmocka_unit_test(test_late_body),
        cmocka_unit_test(test_the_rest_of_a_late_body),
        cmocka_unit_test(test_a_late_one_that_stays),
        cmocka_unit_test(test_a_large_body_has_more_time),
        cmocka_unit_test(test_body_gate),
        cmocka_unit_test(test_stop_with_deferred),
        cmocka_unit_test(test_stop_while_a_handler_runs),
        cmocka_unit_test(test_socket_survives),
        cmocka_unit_test(test_bad_socket),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
