#include "unit/client/peer.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/transport.h"

static struct transport *to(const struct peer *p)
{
    return transport_new(&(struct transport_options){.socket = p->path, .url = "http://peer"});
}

static void test_answer(void **state)
{
    static const struct line script[] = {
        {"GET /a?b=c HTTP/1.1", OK_JSON("{}"), NULL, false},
        {"POST /x", "HTTP/1.1 404 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone", "Content-Type: text/x",
         false},
    };
    struct peer p;
    _cleanup_answer_ struct answer a = {0};

    peer_start(&p, script, 2);
    struct transport *t = to(&p);
    assert_int_equal(transport_call(t, &(struct call){.method = "GET", .path = "/a?b=c", .stop_fd = -1}, &a, NULL), 0);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body.p, "{}");
    struct call post = {.method = "POST", .path = "/x", .content_type = "text/x", .body = STR("hello"), .stop_fd = -1};
    assert_int_equal(transport_call(t, &post, &a, NULL), 0);
    assert_int_equal(a.status, 404);
    assert_string_equal(a.body.p, "gone");
    transport_free(t);
    peer_end(&p);
}

static void test_nobody_there(void **state)
{
    struct transport *t = transport_new(&(struct transport_options){.socket = "/nonexistent/s", .url = "http://peer"});
    _cleanup_answer_ struct answer a = {0};
    _cleanup_error_ struct error *err = NULL;

    assert_true(transport_call(t, &(struct call){.method = "GET", .path = "/", .stop_fd = -1}, &a, &err) < 0);
    assert_int_equal(err->reason, REASON_SERVICE_UNAVAILABLE);
    assert_non_null(strstr(err->message, "/nonexistent/s"));
    transport_free(t);
}

static void test_cut_off(void **state)
{
    static const struct line script[] = {{"GET /", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", NULL, false}};
    struct peer p;
    _cleanup_answer_ struct answer a = {0};
    _cleanup_error_ struct error *err = NULL;

    peer_start(&p, script, 1);
    struct transport *t = to(&p);
    assert_true(transport_call(t, &(struct call){.method = "GET", .path = "/", .stop_fd = -1}, &a, &err) < 0);
    assert_int_equal(err->reason, REASON_SERVICE_UNAVAILABLE);
    transport_free(t);
    peer_end(&p);
}

static void test_deadline_and_stop(void **state)
{
    static const struct line script[] = {{"GET /late", NULL, NULL, false}, {"GET /stop", NULL, NULL, false}};
    struct peer p;
    _cleanup_answer_ struct answer a = {0};
    _cleanup_error_ struct error *err = NULL;
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    peer_start(&p, script, 2);
    struct transport *t = to(&p);
    assert_true(transport_call(t,
                               &(struct call){.method = "GET", .path = "/late", .timeout_ms = 50, .stop_fd = stop_fd},
                               &a, &err) < 0);
    assert_int_equal(err->reason, REASON_TIMEOUT);
    assert_int_equal(write(stop_fd, &one, sizeof(one)), sizeof(one));
    /* Without a deadline: only stop ends it. */
    assert_true(stop_said(stop_fd));
    assert_true(transport_call(t, &(struct call){.method = "GET", .path = "/stop", .stop_fd = stop_fd}, &a, &err) < 0);
    assert_int_equal(err->reason, REASON_SERVICE_UNAVAILABLE);
    transport_free(t);
    close(stop_fd);
    p.partial = true; /* perhaps stopped before it was sent */
    peer_end(&p);
}

/* run's children are told to stop by a pipe whose other end closes. */
static void test_stop_by_hangup(void **state)
{
    static const struct line script[] = {{"GET /", NULL, NULL, false}};
    struct peer p;
    _cleanup_answer_ struct answer a = {0};
    int fds[2];

    peer_start(&p, script, 1);
    assert_int_equal(pipe(fds), 0);
    close(fds[1]);
    struct transport *t = to(&p);
    assert_true(transport_call(t, &(struct call){.method = "GET", .path = "/", .stop_fd = fds[0]}, &a, NULL) < 0);
    transport_free(t);
    close(fds[0]);
    p.partial = true;
    peer_end(&p);
}

static void test_too_large(void **state)
{
    static const struct line script[] = {{"GET /", OK_JSON("0123456789"), NULL, false}};
    struct peer p;
    _cleanup_answer_ struct answer a = {0};
    _cleanup_error_ struct error *err = NULL;

    peer_start(&p, script, 1);
    struct transport *t = to(&p);
    assert_true(
        transport_call(t, &(struct call){.method = "GET", .path = "/", .stop_fd = -1, .max_body = 9}, &a, &err) < 0);
    assert_non_null(strstr(err->message, "larger than 9 bytes"));
    transport_free(t);
    peer_end(&p);
}

static int take(void *arg, struct str piece)
{
    buffer_add(arg, piece);
    return memchr(piece.p, '!', piece.n) ? -1 : 0;
}

static void test_stream(void **state)
{
    static const struct line script[] = {
        {"GET /s", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", NULL, false},
        {"GET /e", OK_JSON("enough!"), NULL, true},
        {"GET /f", STATUS("410", "Expired", "old"), NULL, false},
    };
    struct peer p;
    _cleanup_answer_ struct answer a = {0};
    _cleanup_buffer_ struct buffer got = BUFFER_MAX(100);

    peer_start(&p, script, 3);
    struct transport *t = to(&p);
    struct call c = {.method = "GET", .path = "/s", .stop_fd = -1, .receive = take, .arg = &got};
    assert_int_equal(transport_call(t, &c, &a, NULL), 0);
    assert_string_equal(got.p, "abcd");
    c.path = "/e"; /* the receiver has had enough: no error */
    assert_int_equal(transport_call(t, &c, &a, NULL), 0);
    c.path = "/f"; /* a failure is collected, not streamed */
    assert_int_equal(transport_call(t, &c, &a, NULL), 0);
    assert_int_equal(a.status, 410);
    assert_non_null(strstr(a.body.p, "Expired"));
    assert_null(strstr(got.p, "Expired"));
    transport_free(t);
    peer_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),         cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_cut_off),        cmocka_unit_test(test_deadline_and_stop),
        cmocka_unit_test(test_stop_by_hangup), cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
