/* Bodies that come bit by bit: sleeping, waking, ending, and peers that go. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "unit/http/client.h"

/* One stream: what it has to say is put into it from outside. */
struct source {
    struct hub *hub;
    struct http_exchange *exchange; /* NULL once closed */
    struct buffer pending;
    bool ended, broken;
    struct source *next;
};

struct hub {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct source *sources;
    int opened, closed;
    bool answer_elsewhere, answers_late;
    bool endless;
    size_t piece; /* at most so much from one read; 0: as much as is asked for */
};

static void hub_init(struct hub *h)
{
    memset(h, 0, sizeof(*h));
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
}

static void hub_free(struct hub *h)
{
    for (struct source *s = h->sources; s;) {
        struct source *next = s->next;
        buffer_free(&s->pending);
        free(s);
        s = next;
    }
}

static ssize_t source_read(void *state, char *out, size_t max)
{
    struct source *s = state;
    LOCK_SCOPE(&s->hub->lock);
    if (s->hub->endless) {
        memset(out, 'e', max);
        return (ssize_t)max;
    }
    if (s->hub->piece && s->hub->piece < max)
        max = s->hub->piece;
    size_t n = s->pending.n < max ? s->pending.n : max;
    if (n == 0)
        return s->broken ? -2 : s->ended ? -1 : 0;
    memcpy(out, s->pending.p, n);
    memmove(s->pending.p, s->pending.p + n, s->pending.n - n);
    s->pending.n -= n;
    return (ssize_t)n;
}

static void source_close(void *state)
{
    struct source *s = state;
    LOCK_SCOPE(&s->hub->lock);
    s->exchange = NULL;
    s->hub->closed++;
    pthread_cond_broadcast(&s->hub->changed);
}

static const struct http_stream_ops ops = {source_read, source_close};

static void *answer(void *arg)
{
    struct source *s = arg;

    if (s->hub->answers_late)
        usleep(rand() % 3000);
    http_stream(s->exchange, 200, "text/plain", &ops, s);
    return NULL;
}

static void open_stream(struct http_exchange *x, void *arg)
{
    struct hub *h = arg;
    struct source *s = xcalloc(1, sizeof(*s));

    s->hub = h;
    s->exchange = x;
    s->pending = BUFFER_MAX(64 << 20);
    pthread_mutex_lock(&h->lock);
    s->next = h->sources;
    h->sources = s;
    h->opened++;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (h->answer_elsewhere)
        pthread_detach(thread_start("answer", answer, s));
    else
        answer(s);
}

static void wait_for(struct hub *h, const int *counter, int n)
{
    LOCK_SCOPE(&h->lock);
    while (*counter < n)
        pthread_cond_wait(&h->changed, &h->lock);
}

static void say(struct hub *h, struct source *s, const char *text)
{
    LOCK_SCOPE(&h->lock);
    buffer_puts(&s->pending, text);
    if (s->exchange)
        http_stream_wake(s->exchange);
}

static void end(struct hub *h, struct source *s, bool broken)
{
    LOCK_SCOPE(&h->lock);
    s->ended = true;
    s->broken = broken;
    if (s->exchange)
        http_stream_wake(s->exchange);
}

static void check_conversation(bool elsewhere)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    h.answer_elsewhere = elsewhere;
    fixture_start(&f, &o, open_stream, &h);
    for (int round = 1; round <= 3; round++) {
        int fd = client_connect(&f);
        buffer_clear(&b);
        client_send(fd, "GET /watch HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for(&h, &h.opened, round);
        client_read_until(fd, &b, "\r\n\r\n");
        assert_non_null(strcasestr(b.p, "transfer-encoding: chunked"));
        say(&h, h.sources, "one\n");
        client_read_until(fd, &b, "one\n");
        say(&h, h.sources, "two\n");
        client_read_until(fd, &b, "two\n");
        end(&h, h.sources, false);
        client_read_all(fd, &b);
        assert_true(ends_with(b.p, "\r\n0\r\n\r\n"));
        wait_for(&h, &h.closed, round);
        close(fd);
    }
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void test_conversation(void **state)
{
    check_conversation(false);
    check_conversation(true);
}

/* All of it comes, in however many pieces; nobody wakes the stream in between. */
static void check_large(size_t bytes, size_t piece)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};
    _cleanup_free_ char *text = xmalloc(bytes + 1);

    memset(text, 'x', bytes);
    text[bytes] = '\0';
    hub_init(&h);
    h.piece = piece;
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(&h, &h.opened, 1);
    say(&h, h.sources, text);
    end(&h, h.sources, false);
    client_read_until(fd, &b, "\r\n0\r\n\r\n");
    size_t n = 0;
    for (const char *p = strstr(b.p, "\r\n\r\n"); *p; p++)
        n += *p == 'x';
    assert_int_equal(n, bytes);
    close(fd);
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void test_large(void **state)
{
    check_large(1000000, 0);
    check_large(100000, 100);
}

static void test_broken(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(&h, &h.opened, 1);
    say(&h, h.sources, "begun\n");
    end(&h, h.sources, true);
    client_read_all(fd, &b);
    assert_non_null(strstr(b.p, "begun\n"));
    assert_null(strstr(b.p, "\r\n0\r\n\r\n"));
    wait_for(&h, &h.closed, 1);
    close(fd);
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void test_head(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    _cleanup_free_ char *response = client_request(&f, "HEAD /watch HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(starts_with(response, "HTTP/1.1 200"));
    wait_for(&h, &h.closed, 1);
    fixture_cleanup(&f);
    hub_free(&h);
}

static void test_old_protocol(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.0\r\n\r\n");
    wait_for(&h, &h.opened, 1);
    say(&h, h.sources, "plain");
    client_read_until(fd, &b, "plain");
    say(&h, h.sources, " and more");
    end(&h, h.sources, false);
    client_read_all(fd, &b);
    assert_non_null(strstr(b.p, "\r\n\r\nplain and more"));
    close(fd);
    wait_for(&h, &h.closed, 1);
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

/* Asleep, being read, and full: in each case the end of the peer is noticed without anybody writing to it. */
static void test_peer_goes(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    for (int i = 1; i <= 20; i++) {
        int fd = client_connect(&f);
        client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for(&h, &h.opened, i);
        if (i % 3 == 0) {
            say(&h, h.sources, "x\n");
            buffer_clear(&b);
            client_read_until(fd, &b, "x\n");
        }
        close(fd);
        wait_for(&h, &h.closed, i);
    }
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void *come_and_go(void *arg)
{
    struct fixture *f = arg;

    for (int i = 0; i < 200; i++) {
        int fd = client_connect(f);
        client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        usleep(i % 8 * 200);
        close(fd);
    }
    return NULL;
}

static int count_opened(struct hub *h)
{
    LOCK_SCOPE(&h->lock);
    return h->opened;
}

/* Its stream is closed all the same, by whoever finds that the peer has gone. */
static void test_many_go_before_the_answer(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};
    pthread_t clients[8];

    hub_init(&h);
    h.answer_elsewhere = true;
    h.answers_late = true;
    o.max_connections = 1000;
    fixture_start(&f, &o, open_stream, &h);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        clients[i] = thread_start("client", come_and_go, &f);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        pthread_join(clients[i], NULL);
    /* Requests that nobody has read yet come before this one. */
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client_read_until(fd, &b, "\r\n\r\n");
    close(fd);
    wait_for(&h, &h.closed, count_opened(&h));
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void test_peer_goes_while_full(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    char piece[1000];

    hub_init(&h);
    h.endless = true;
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(recv(fd, piece, sizeof(piece), 0) > 0);
    close(fd);
    wait_for(&h, &h.closed, 1);
    fixture_cleanup(&f);
    hub_free(&h);
}

/* A peer that shut down only its sending half still gets what it asked for. */
static void test_half_closed(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(&h, &h.opened, 1);
    client_read_until(fd, &b, "\r\n\r\n");
    shutdown(fd, SHUT_WR);
    say(&h, h.sources, "still there\n");
    client_read_until(fd, &b, "still there\n");
    end(&h, h.sources, false);
    client_read_until(fd, &b, "0\r\n\r\n");
    close(fd);
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

static void test_stop(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};
    int fds[5];

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    for (int i = 0; i < 5; i++) {
        fds[i] = client_connect(&f);
        client_send(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_for(&h, &h.opened, 5);
    fixture_stop(&f);
    assert_int_equal(h.closed, 5);
    for (int i = 0; i < 5; i++) {
        buffer_clear(&b);
        client_read_all(fds[i], &b);
        assert_true(ends_with(b.p, "0\r\n\r\n"));
        close(fds[i]);
    }
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

/* Stopping does not wait for a peer that takes nothing. */
static void test_stop_while_full(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    char piece[100];

    hub_init(&h);
    h.endless = true;
    fixture_start(&f, &o, open_stream, &h);
    int fd = client_connect(&f);
    client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(recv(fd, piece, sizeof(piece), 0) > 0);
    fixture_stop(&f);
    assert_int_equal(h.closed, 1);
    close(fd);
    fixture_cleanup(&f);
    hub_free(&h);
}

/* A peer that takes nothing is cut after the idle time; one that only sleeps is not. */
static void test_idle(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct buffer b = {0};

    hub_init(&h);
    o.idle_seconds = 1;
    fixture_start(&f, &o, open_stream, &h);
    int asleep = client_connect(&f);
    client_send(asleep, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(&h, &h.opened, 1);
    struct source *sleeper = h.sources;
    int stuck = client_connect(&f);
    client_send(stuck, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for(&h, &h.opened, 2);
    char *much = xmalloc(8000001);
    memset(much, 'x', 8000000);
    much[8000000] = '\0';
    say(&h, h.sources, much);
    wait_for(&h, &h.closed, 1);
    say(&h, sleeper, "awake\n");
    client_read_until(asleep, &b, "awake\n");
    close(stuck);
    close(asleep);
    free(much);
    fixture_cleanup(&f);
    buffer_free(&b);
    hub_free(&h);
}

/* Waking from several threads, while connections come and go: nothing is lost, nothing is used after its end. */
struct waker {
    struct hub *hub;
    atomic_bool stop;
};

static void *wake_all(void *arg)
{
    struct waker *w = arg;
    while (!atomic_load(&w->stop)) {
        LOCK_SCOPE(&w->hub->lock);
        for (struct source *s = w->hub->sources; s; s = s->next)
            if (s->exchange)
                http_stream_wake(s->exchange);
    }
    return NULL;
}

static void test_wake_races(void **state)
{
    struct fixture f;
    struct http_options o = default_options();
    struct hub h;
    struct waker w = {.hub = &h};
    pthread_t threads[2];
    char text[32];

    hub_init(&h);
    fixture_start(&f, &o, open_stream, &h);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        threads[i] = thread_start("waker", wake_all, &w);
    for (int i = 1; i <= 30; i++) {
        struct buffer b = {0};
        int fd = client_connect(&f);
        client_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for(&h, &h.opened, i);
        for (int j = 0; j < 10; j++) {
            snprintf(text, sizeof(text), "%d.%d\n", i, j);
            say(&h, h.sources, text);
            client_read_until(fd, &b, text);
        }
        close(fd);
        buffer_free(&b);
    }
    wait_for(&h, &h.closed, 30);
    atomic_store(&w.stop, true);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    fixture_cleanup(&f);
    hub_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_old_protocol),
        cmocka_unit_test(test_peer_goes),
        cmocka_unit_test(test_peer_goes_while_full),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_many_go_before_the_answer),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_while_full),
        cmocka_unit_test(test_wake_races),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
