/* Requests out of bytes: what is understood, what is refused, and that it does not matter how the bytes were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/reader.h"

#define HEAD_MAX ((size_t)32 * 1024)

static void say_request(struct buffer *b, const struct request *q)
{
    buffer_printf(b, "%s %s%s%s%s", q->method, q->target.p, q->is_old ? " old" : "", q->keep_alive ? "" : " close",
                  q->expects_continue ? " expects" : "");
    for (size_t i = 0; i < q->headers_len; i++)
        buffer_printf(b, " %s=<%s>", q->headers[i].name, q->headers[i].value);
    buffer_puts(b, q->has_body ? " body:" : "\n");
}

/* Returns false where nothing more is read. */
static bool hear(struct reader *r, struct str *input, struct buffer *b)
{
    switch (reader_next(r, input)) {
    case READING_MORE:
        return false;
    case READING_HEAD:
        say_request(b, &r->request);
        request_free(&r->request);
        return true;
    case READING_PIECE:
        buffer_append(b, r->piece.p, r->piece.n);
        return true;
    case READING_END:
        buffer_puts(b, ".\n");
        return true;
    case READING_BAD:
        buffer_puts(b, "BAD");
        return false;
    case READING_TOO_LARGE:
        buffer_puts(b, "LARGE");
        return false;
    case READING_NO_METHOD:
        buffer_puts(b, "METHOD");
        return false;
    }
    abort();
}

static bool is_over(const struct buffer *b)
{
    return b->n && (ends_with(b->p, "BAD") || ends_with(b->p, "LARGE") || ends_with(b->p, "METHOD"));
}

/* Cut into pieces of at most `most` bytes. */
static char *read_all(const char *text, size_t n, size_t most)
{
    struct buffer b = BUFFER_MAX(1 << 20);
    struct reader r;

    reader_init(&r, HEAD_MAX);
    for (size_t at = 0; at < n && !is_over(&b); at += most) {
        struct str input = {text + at, n - at < most ? n - at : most};
        while (hear(&r, &input, &b))
            ;
        assert_true(input.n == 0 || is_over(&b));
    }
    reader_free(&r);
    return buffer_steal(&b);
}

static void check_n(const char *text, size_t n, const char *expected)
{
    static const size_t cuts[] = {SIZE_MAX / 2, 1, 2, 3, 7};

    for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
        _cleanup_free_ char *got = read_all(text, n, cuts[i]);
        if (!streq(got, expected))
            fail_msg("in pieces of %zu:\n%s\nis understood as:\n%s\nnot as:\n%s", cuts[i], text, got, expected);
    }
}

static void check(const char *text, const char *expected)
{
    check_n(text, strlen(text), expected);
}

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define HEARD "POST / Host=<h> Transfer-Encoding=<chunked> body:"

static void test_requests(void **state)
{
    check(GET "\r\n", "GET / Host=<h>\n");
    check("HEAD /a%20b?c=d&e HTTP/1.1\r\nHost:h\r\nX: a\tb \t\r\nY:\r\nZ: \r\n\r\n",
          "HEAD /a%20b?c=d&e Host=<h> X=<a\tb> Y=<> Z=<>\n");
    check("GET / HTTP/1.0\r\n\r\n", "GET / old close\n");
    check("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / old Connection=<keep-alive>\n");
    check(GET "Connection: close\r\n\r\n", "GET / close Host=<h> Connection=<close>\n");
    check(GET "X: \xe7\x8e\x8b\r\n\r\n", "GET / Host=<h> X=<\xe7\x8e\x8b>\n");
    check(POST "Content-Length: 5\r\n\r\nhello", "POST / Host=<h> Content-Length=<5> body:hello.\n");
    check(POST "Content-Length: 0\r\n\r\n", "POST / Host=<h> Content-Length=<0>\n");
    check(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
          "POST / expects Host=<h> Expect=<100-Continue> Content-Length=<1> body:x.\n");
    check(CHUNKED "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", HEARD "abc0123456789.\n");
    /* An offer to speak something else is left alone. */
    check(GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n" GET "\r\n",
          "GET / Host=<h> Connection=<Upgrade, HTTP2-Settings> Upgrade=<h2c> HTTP2-Settings=<AA>\nGET / Host=<h>\n");
}

/* One behind the other, each as if it were alone. */
static void test_pipelined(void **state)
{
    check(GET "\r\n" POST "Content-Length: 3\r\n\r\nabc" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET "\r\n",
          "GET / Host=<h>\nPOST / Host=<h> Content-Length=<3> body:abc.\n" HEARD "x.\nGET / Host=<h>\n");
    /* What looks like a request in a body is none. */
    check(POST "Content-Length: 27\r\n\r\n" GET "\r\n" GET "\r\n",
          "POST / Host=<h> Content-Length=<27> body:" GET "\r\n.\nGET / Host=<h>\n");
}

/* What two readers understand in two ways: where a request ends, and what it asks for. */
static void test_smuggling(void **state)
{
    static const char *const bad[] = {
        /* Two lengths, or none that is one. */
        POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        POST "Content-Length: 5, 5\r\n\r\n",
        POST "Content-Length: 5 5\r\n\r\n",
        POST "Content-Length: +5\r\n\r\n",
        POST "Content-Length: -5\r\n\r\n",
        POST "Content-Length: 0x5\r\n\r\n",
        POST "Content-Length: 5.0\r\n\r\n",
        POST "Content-Length: \r\n\r\n",
        POST "Content-Length: five\r\n\r\n",
        POST "Content-Length: 99999999999999999999999\r\n\r\n",
        POST "Content-Length : 5\r\n\r\n",
        POST " Content-Length: 5\r\n\r\n",
        POST "Content-Length\r\n\r\n",
        /* Encodings. */
        POST "Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked, gzip\r\n\r\n",
        POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
        POST "Transfer-Encoding: identity\r\n\r\n",
        POST "Transfer-Encoding: xchunked\r\n\r\n",
        POST "Transfer-Encoding: \"chunked\"\r\n\r\n",
        POST "Transfer-Encoding:\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        POST "Transfer-Encoding : chunked\r\n\r\n",
        POST "Transfer-Encoding\x0b: chunked\r\n\r\n",
        POST "Transfer-Encoding:\x0b"
             "chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        /* Lines. */
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        GET "X: a\n\r\n",
        GET "X: a\rY: b\r\n\r\n",
        GET "X: a\r\n b\r\n\r\n",
        GET "X: a\r\n\tb\r\n\r\n",
        GET "X: a\r\n \r\n\r\n",
        GET "\n",
        GET "X\r\n\r\n",
        GET ": a\r\n\r\n",
        GET "X Y: a\r\n\r\n",
        GET "X\t: a\r\n\r\n",
        GET "X: a\x01\r\n\r\n",
        GET "X: a\x7f\r\n\r\n",
        GET "X\xc3\xa4: a\r\n\r\n",
        "\r\n" GET "\r\n",
        "\n" GET "\r\n",
        " " GET "\r\n",
        /* What is asked for, and of whom. */
        "GET / HTTP/1.1\r\n\r\n",
        GET "Host: g\r\n\r\n",
        GET "host: h\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1x\r\nHost: h\r\n\r\n",
        "GET / http/1.1\r\nHost: h\r\n\r\n",
        "GET / RTSP/1.0\r\nHost: h\r\n\r\n",
        "get / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        check(bad[i], "BAD");
    check("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "METHOD");
}

static void test_bad_chunks(void **state)
{
    static const char *const bad[] = {
        "zz\r\n",
        "\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\n",
        "+3\r\n",
        "0x3\r\n",
        "-1\r\n",
        "3\nabc",
        "3\r\r\n",
        "fffffffffffffffff\r\n",
        "3;a=b\r\n",
        "3;\r\n",
        "0;a\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\n\n",
    };
    static const char *const in_the_midst[] = {"3\r\nabcd\r\n", "3\r\nabc\n", "3\r\nabc\r\r", "3\r\nabc0\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *text = xasprintf(CHUNKED "%s", bad[i]);
        check(text, HEARD "BAD");
    }
    for (size_t i = 0; i < ARRAY_SIZE(in_the_midst); i++) {
        _cleanup_free_ char *text = xasprintf(CHUNKED "%s", in_the_midst[i]);
        check(text, HEARD "abcBAD");
    }
}

static void test_nul(void **state)
{
    static const char in_value[] = GET "X: a\0b\r\n\r\n", in_name[] = GET "X\0: a\r\n\r\n",
                      in_target[] = "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
                      in_body[] = POST "Content-Length: 1\r\n\r\n\0";

    check_n(in_value, sizeof(in_value) - 1, "BAD");
    check_n(in_name, sizeof(in_name) - 1, "BAD");
    check_n(in_target, sizeof(in_target) - 1, "BAD");
    _cleanup_free_ char *got = read_all(in_body, sizeof(in_body) - 1, 1);
    assert_true(starts_with(got, "POST / Host=<h> Content-Length=<1> body:"));
}

/* Bytes and headers of a head: the limit, and one more. */
static char *head_of(size_t bytes, size_t headers)
{
    struct buffer b = BUFFER_MAX(1 << 20);

    buffer_puts(&b, GET);
    for (size_t i = 2; i < headers; i++)
        buffer_puts(&b, "a:\r\n");
    buffer_printf(&b, "b: %0*d\r\n\r\n", (int)(bytes - b.n - 7), 7);
    assert_int_equal(b.n, bytes);
    return buffer_steal(&b);
}

static void test_limits(void **state)
{
    _cleanup_free_ char *most = head_of(HEAD_MAX, 10), *more = head_of(HEAD_MAX + 1, 10), *many = head_of(8000, 256),
                        *too_many = head_of(8000, 257), *endless = xcalloc(1, 70000);

    _cleanup_free_ char *got = read_all(most, strlen(most), SIZE_MAX / 2);
    assert_true(starts_with(got, "GET / Host=<h> a=<>"));
    check(more, "LARGE");
    _cleanup_free_ char *all = read_all(many, strlen(many), 100);
    assert_true(starts_with(all, "GET / Host=<h> a=<>"));
    check(too_many, "LARGE");
    memset(endless, 'G', 69999);
    check(endless, "LARGE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_pipelined), cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_bad_chunks), cmocka_unit_test(test_nul),       cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
