/* Bodies that are taken as they come: full and slow sinks, refusals, and peers that go in the midst of it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "unit/http/client.h"

/* What one request's body meets. */
struct sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_exchange *x; /* of the last request that waits for its sink, or its answer */
    size_t room;             /* bytes it still takes */
    size_t piece;            /* at most so many at once; 0: as many as there are */
    bool refuses;            /* once there is no room */
    bool answers;            /* at its end */
    uint64_t taken, wrong;   /* bytes; those that are not what the client sends */
    int asked, ended, gone, handled;
    enum reason why; /* where it was cut */
    bool cut;
};

static void sink_init(struct sink *s)
{
    *s = (struct sink){.room = SIZE_MAX, .answers = true};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static void answer_taken(struct http_exchange *x, uint64_t taken, bool cut)
{
    char text[32];

    snprintf(text, sizeof(text), "took %llu", (unsigned long long)taken);
    http_reply(x, cut ? 500 : 200, "text/plain", str_from(text));
}

/* Byte n of what the client sends. */
static char letter(uint64_t n)
{
    return (char)('a' + n % 23);
}

static ssize_t sink_write(void *state, const char *p, size_t n)
{
    struct sink *s = state;

    pthread_mutex_lock(&s->lock);
    s->asked++;
    size_t most = s->piece && s->piece < n ? s->piece : n, taken = most < s->room ? most : s->room;
    for (size_t i = 0; i < taken; i++)
        s->wrong += p[i] != letter(s->taken + i);
    s->taken += taken;
    s->room -= taken;
    bool refuse = taken == 0 && s->refuses;
    struct http_exchange *x = s->x;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (!refuse)
        return (ssize_t)taken;
    http_reply(x, 403, "text/plain", STR("no more"));
    return -1;
}

static void sink_end(void *state, const struct error *why)
{
    struct sink *s = state;

    pthread_mutex_lock(&s->lock);
    s->ended++;
    s->cut = why;
    s->why = why ? why->reason : s->why;
    struct http_exchange *x = s->x;
    bool answers = s->answers;
    uint64_t taken = s->taken;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (answers)
        answer_taken(x, taken, why);
}

static const struct http_sink_ops ops = {sink_write, sink_end};

static void on_gone(void *arg)
{
    struct sink *s = arg;
    LOCK_SCOPE(&s->lock);
    s->gone++;
    pthread_cond_broadcast(&s->changed);
}

static void handle(struct http_exchange *x, void *arg)
{
    struct sink *s = arg;

    http_on_gone(x, on_gone, s);
    pthread_mutex_lock(&s->lock);
    s->x = x;
    s->handled++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (http_header(x, "X-Later"))
        return;
    if (http_header(x, "X-Refuse"))
        return http_reply(x, 403, "text/plain", STR("not you"));
    if (http_method(x) == HTTP_GET)
        return http_reply(x, 200, "text/plain", STR("got"));
    http_receive(x, &ops, s);
}

static int gate(struct http_exchange *x, void *arg, size_t *max, struct error **err)
{
    if (http_header(x, "X-Max"))
        *max = (size_t)strtoul(http_header(x, "X-Max"), NULL, 10);
    return HTTP_BODY_RECEIVED;
}

static void receive_start(struct fixture *f, struct sink *s)
{
    struct http_options o = default_options();

    sink_init(s);
    o.body_gate = gate;
    o.max_body = (size_t)1 << 40;
    o.body_seconds = 2;
    fixture_start(f, &o, handle, s);
}

#define WAIT_UNTIL(s, condition)                                                                                       \
    do {                                                                                                               \
        LOCK_SCOPE(&(s)->lock);                                                                                        \
        while (!(condition))                                                                                           \
            pthread_cond_wait(&(s)->changed, &(s)->lock);                                                              \
    } while (0)

#define EXPECT(s, condition)                                                                                           \
    do {                                                                                                               \
        pthread_mutex_lock(&(s)->lock);                                                                                \
        bool holds = condition;                                                                                        \
        pthread_mutex_unlock(&(s)->lock);                                                                              \
        assert_true(holds);                                                                                            \
    } while (0)

static void make_room(struct sink *s, size_t room)
{
    LOCK_SCOPE(&s->lock);
    s->room = room;
    if (s->x && s->ended == 0)
        http_receive_wake(s->x);
}

/* Sends as much of the body as goes, blocking. */
static void send_body(int fd, uint64_t from, size_t n)
{
    char piece[4096];

    for (uint64_t at = from; at < from + n;) {
        size_t m = n - (at - from) < sizeof(piece) ? n - (at - from) : sizeof(piece);
        for (size_t i = 0; i < m; i++)
            piece[i] = letter(at + i);
        ssize_t sent = send(fd, piece, m, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (uint64_t)sent;
    }
}

static void expect_answer(int fd, const char *begin, const char *text)
{
    struct buffer b = {0};

    client_read_response(fd, &b, false);
    if (!starts_with(b.p, begin) || strstr(b.p, text) == NULL)
        fail_msg("no '%s', '%s' in:\n%s", begin, text, b.p);
    buffer_free(&b);
}

static void expect_end(int fd)
{
    struct buffer b = {0};

    client_read_all(fd, &b);
    assert_int_equal(b.n, 0);
    close(fd);
}

#define POST "POST / HTTP/1.1\r\nHost: h\r\n"

/* Announced and in chunks, one after the other on one connection, with plain requests between. */
static void test_whole(void **state)
{
    struct fixture f;
    struct sink s;
    struct buffer b = {0};

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 300000\r\n\r\n");
    send_body(fd, 0, 300000);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client_read_until(fd, &b, "\r\n\r\ntook 300000HTTP/1.1 200 OK\r\n");
    client_read_until(fd, &b, "\r\n\r\ngot");
    s.taken = 0;
    client_send(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n14\r\ndefghijklmnopqrstuvw\r\n0\r\n\r\n");
    expect_answer(fd, "HTTP/1.1 200", "took 23");
    client_send(fd, POST "Content-Length: 0\r\nX-Refuse: 1\r\n\r\n");
    expect_answer(fd, "HTTP/1.1 403", "not you");
    EXPECT(&s, s.wrong == 0);
    EXPECT(&s, s.ended == 2);
    EXPECT(&s, !s.cut);
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

/* In whatever pieces it is taken. */
static void test_small_bites(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    s.piece = 7;
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 100000\r\n\r\n");
    send_body(fd, 0, 100000);
    expect_answer(fd, "HTTP/1.1 200", "took 100000");
    EXPECT(&s, s.wrong == 0);
    close(fd);
    fixture_cleanup(&f);
}

static size_t send_until_full(int fd)
{
    static const char piece[65536];
    size_t n = 0;
    int quiet = 0;

    while (quiet < 50) {
        ssize_t sent = send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
        quiet = sent > 0 ? 0 : quiet + 1;
        n += sent > 0 ? (size_t)sent : 0;
        if (sent <= 0)
            usleep(1000);
    }
    return n;
}

/* A full sink stops the peer: what is held is one read, and what the socket's own buffers hold. */
static void test_full(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    s.room = 100;
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 1000000000000\r\n\r\n");
    assert_true(send_until_full(fd) < (size_t)2 << 20);
    WAIT_UNTIL(&s, s.taken == 100);
    /* Longer than a body of that size may take: the peer is not to blame. */
    usleep(2500000);
    EXPECT(&s, s.ended == 0);
    close(fd);
    WAIT_UNTIL(&s, s.ended == 1);
    EXPECT(&s, s.cut);
    EXPECT(&s, s.why == REASON_SERVICE_UNAVAILABLE);
    EXPECT(&s, s.gone == 0);
    fixture_cleanup(&f);
}

static void test_slow(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    s.room = 0;
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 20000\r\n\r\n");
    send_body(fd, 0, 20000);
    for (uint64_t n = 1000; n <= 20000; n += 1000) {
        WAIT_UNTIL(&s, s.asked > 0 && s.taken == n - 1000);
        make_room(&s, 1000);
    }
    expect_answer(fd, "HTTP/1.1 200", "took 20000");
    EXPECT(&s, s.wrong == 0);
    close(fd);
    fixture_cleanup(&f);
}

/* The answer comes while the peer still sends; the connection ends with it. */
static void test_refused_in_the_midst(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    s.room = 50000;
    s.refuses = true;
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 100000\r\n\r\n");
    send_body(fd, 0, 100000);
    expect_answer(fd, "HTTP/1.1 403", "no more");
    expect_end(fd);
    EXPECT(&s, s.taken == 50000);
    EXPECT(&s, s.ended == 0);
    fixture_cleanup(&f);
}

static void test_refused_before(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "X-Refuse: 1\r\nContent-Length: 100000\r\n\r\nabc");
    expect_answer(fd, "HTTP/1.1 403 FORBIDDEN\r\n", "Connection: close\r\n");
    expect_end(fd);
    EXPECT(&s, s.asked == 0);
    fixture_cleanup(&f);
}

/* «100 Continue» is said when somebody wants the body, and not before. */
static void test_expects_continue(void **state)
{
    struct fixture f;
    struct sink s;
    struct buffer b = {0};
    char c;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "X-Later: 1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    WAIT_UNTIL(&s, s.handled == 1);
    usleep(20000);
    assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    http_receive(s.x, &ops, &s);
    client_read_until(fd, &b, "100 Continue\r\n\r\n");
    send_body(fd, 0, 5);
    expect_answer(fd, "HTTP/1.1 200", "took 5");
    client_send(fd, POST "X-Refuse: 1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    expect_answer(fd, "HTTP/1.1 403", "not you");
    close(fd);
    buffer_free(&b);
    fixture_cleanup(&f);
}

static void test_too_large(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "X-Max: 10\r\nContent-Length: 11\r\n\r\n");
    expect_answer(fd, "HTTP/1.1 413", "limit is 10");
    expect_end(fd);
    EXPECT(&s, s.handled == 0);
    fd = client_connect(&f);
    client_send(fd, POST "X-Max: 10\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n6\r\nfghijk\r\n");
    expect_answer(fd, "HTTP/1.1 500", "took 5");
    expect_end(fd);
    EXPECT(&s, s.why == REASON_REQUEST_TOO_LARGE);
    fixture_cleanup(&f);
}

static void test_not_http(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n");
    expect_answer(fd, "HTTP/1.1 500", "took 5");
    expect_end(fd);
    EXPECT(&s, s.why == REASON_BAD_REQUEST);
    fixture_cleanup(&f);
}

static void test_late(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 10\r\n\r\nabc");
    expect_answer(fd, "HTTP/1.1 500", "took 3");
    expect_end(fd);
    EXPECT(&s, s.why == REASON_TIMEOUT);
    fixture_cleanup(&f);
}

/* Before anybody wants the body, in its midst, and when it is whole. */
static void test_peer_goes(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "X-Later: 1\r\nContent-Length: 10\r\n\r\nabc");
    WAIT_UNTIL(&s, s.handled == 1);
    close(fd);
    WAIT_UNTIL(&s, s.gone == 1);
    http_receive(s.x, &ops, &s);
    EXPECT(&s, s.ended == 1);
    EXPECT(&s, s.asked == 0);

    fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 10\r\n\r\nabc");
    WAIT_UNTIL(&s, s.taken == 3);
    close(fd);
    WAIT_UNTIL(&s, s.ended == 2);
    EXPECT(&s, s.cut);
    EXPECT(&s, s.gone == 1);

    s.answers = false;
    s.taken = 0;
    fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 3\r\n\r\nabc");
    WAIT_UNTIL(&s, s.ended == 3);
    EXPECT(&s, !s.cut);
    close(fd);
    WAIT_UNTIL(&s, s.gone == 2);
    answer_taken(s.x, s.taken, false);
    fixture_cleanup(&f);
}

/* A peer that only ended its half says the rest of its body no more. */
static void test_half_closed(void **state)
{
    struct fixture f;
    struct sink s;

    receive_start(&f, &s);
    int fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 5\r\n\r\nabcde");
    shutdown(fd, SHUT_WR);
    expect_answer(fd, "HTTP/1.1 200", "took 5");
    expect_end(fd);
    fd = client_connect(&f);
    client_send(fd, POST "Content-Length: 5\r\n\r\n");
    shutdown(fd, SHUT_WR);
    WAIT_UNTIL(&s, s.ended == 2);
    EXPECT(&s, s.cut);
    expect_end(fd);
    fixture_cleanup(&f);
}

static void test_stop(void **state)
{
    struct fixture f;
    struct sink s;
    int fds[3];

    receive_start(&f, &s);
    /* Nobody wants it yet. */
    fds[0] = client_connect(&f);
    client_send(fds[0], POST "X-Later: 1\r\nContent-Length: 10\r\n\r\nabc");
    WAIT_UNTIL(&s, s.handled == 1);
    struct http_exchange *later = s.x;
    /* In its midst. */
    fds[1] = client_connect(&f);
    client_send(fds[1], POST "Content-Length: 10\r\n\r\nabc");
    WAIT_UNTIL(&s, s.taken == 3);
    fixture_stop(&f);
    EXPECT(&s, s.ended == 1);
    EXPECT(&s, s.gone == 1);
    s.x = later;
    http_receive(later, &ops, &s);
    EXPECT(&s, s.ended == 2);
    for (int i = 0; i < 2; i++) {
        expect_answer(fds[i], "HTTP/1.1 503", "the server is stopping");
        close(fds[i]);
    }
    fixture_cleanup(&f);
}

/* Sinks, answers and streams of many at once, on both threads. */
static void *send_many(void *arg)
{
    struct fixture *f = arg;
    struct buffer b = {0};

    int fd = client_connect(f);
    for (int i = 0; i < 100; i++) {
        buffer_clear(&b);
        client_send(fd, POST "Content-Length: 30000\r\n\r\n");
        send_body(fd, 0, 30000);
        client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client_read_until(fd, &b, "\r\n\r\nbytes 30000HTTP/1.1 200 OK\r\n");
        client_read_until(fd, &b, "\r\n\r\ngot");
    }
    close(fd);
    buffer_free(&b);
    return NULL;
}

struct counter {
    struct http_exchange *x;
    size_t n;
    bool slept;
};

static ssize_t counter_write(void *state, const char *p, size_t n)
{
    struct counter *c = state;

    c->slept = !c->slept;
    if (c->slept) {
        http_receive_wake(c->x);
        return 0;
    }
    size_t taken = n < 5000 ? n : 5000;
    c->n += taken;
    return (ssize_t)taken;
}

static void counter_end(void *state, const struct error *why)
{
    struct counter *c = state;
    char text[32];

    snprintf(text, sizeof(text), "bytes %zu", c->n);
    http_reply(c->x, 200, "text/plain", str_from(text));
    free(c);
}

static const struct http_sink_ops counter_ops = {counter_write, counter_end};

static void count_body(struct http_exchange *x, void *arg)
{
    if (http_method(x) == HTTP_GET)
        return http_reply(x, 200, "text/plain", STR("got"));
    struct counter *c = xcalloc(1, sizeof(*c));
    c->x = x;
    http_receive(x, &counter_ops, c);
}

static void test_many(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    pthread_t clients[4];

    o.body_gate = gate;
    fixture_start(&f, &o, count_body, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        clients[i] = thread_start("client", send_many, &f);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        pthread_join(clients[i], NULL);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_small_bites),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_refused_in_the_midst),
        cmocka_unit_test(test_refused_before),
        cmocka_unit_test(test_expects_continue),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_not_http),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_peer_goes),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
