/* Paths, methods, media types and limits: what is refused, and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/api/client.h"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static struct answer *get(const char *path)
{
    return CALL(&f, .path = path);
}

static struct answer *create(const char *body, const char *type)
{
    return CALL(&f, .method = "POST", .path = WIDGETS, .body = body, .type = type);
}

static void unknown_paths(void **state)
{
    static const char *const paths[] = {"/apis/test.example.io/v1/gadgets",
                                        "/apis/test.example.io/v2/widgets",
                                        "/apis/other.example.io/v1/widgets",
                                        "/apis/test.example.io/v1/widgets/a/status/more",
                                        "/apis/test.example.io/v1//widgets",
                                        "/apis/test.example.io/v1/widgets/%zz",
                                        "/apis/test.example.io/v1/widgets/a%00b",
                                        "/openapi/v9",
                                        "/api/v1/pods"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct answer *a = expect(404, get(paths[i]));
        assert_string_equal(answer_str(a, "kind"), "Status");
        assert_string_equal(answer_str(a, "message"), "the server could not find the requested resource");
        assert_string_equal(answer_str(a, "reason"), "NotFound");
        assert_int_equal(answer_int(a, "code"), 404);
    }
}

static void wrong_methods(void **state)
{
    struct answer *a = expect(405, CALL(&f, .method = "PUT", .path = WIDGETS, .body = "{}"));

    assert_true(answer_has_header(a, "Allow: GET, HEAD, POST, DELETE\r\n"));
    assert_string_equal(answer_str(a, "reason"), "MethodNotAllowed");
    a = expect(405, CALL(&f, .method = "POST", .path = WIDGETS "/a", .body = "{}"));
    assert_true(answer_has_header(a, "Allow: GET, HEAD, PUT, PATCH, DELETE\r\n"));
    a = expect(405, CALL(&f, .method = "POST", .path = WIDGETS "/a/status", .body = "{}"));
    assert_true(answer_has_header(a, "Allow: GET, HEAD, PUT, PATCH\r\n"));
    expect(405, CALL(&f, .method = "OPTIONS", .path = WIDGETS));
    expect(405, CALL(&f, .method = "BREW", .path = WIDGETS "/a"));
    a = expect(405, CALL(&f, .method = "POST", .path = "/version", .body = "{}"));
    assert_true(answer_has_header(a, "Allow: GET, HEAD\r\n"));
}

static void media_types(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{}"), ""));
    expect(201, create(WIDGET("b", "{}"), "application/json; charset=utf-8"));
    a = expect(415, create(WIDGET("c", "{}"), "application/x-www-form-urlencoded"));
    assert_string_equal(answer_str(a, "reason"), "UnsupportedMediaType");
    assert_string_equal(answer_str(a, "message"),
                        "the body of the request was in an unknown format - accepted media types "
                        "include: application/json, application/yaml");
    expect(415, create(WIDGET("c", "{}"), "application/vnd.kubernetes.protobuf"));
    expect(415, create(WIDGET("c", "{}"), "application/merge-patch+json"));
    a = expect(406, CALL(&f, .path = WIDGETS, .accept = "application/yaml"));
    assert_string_equal(answer_str(a, "reason"), "NotAcceptable");
    expect(200, CALL(&f, .path = WIDGETS, .accept = "application/vnd.kubernetes.protobuf, application/json"));
    expect(200, CALL(&f, .path = WIDGETS, .accept = "*/*"));
}

static void bad_bodies(void **state)
{
    static const char *const bodies[] = {"{",
                                         "",
                                         " ",
                                         "[]",
                                         "7",
                                         "null",
                                         "{\"metadata\":7}",
                                         "{\"metadata\":{\"name\":7}}",
                                         "{\"metadata\":{\"labels\":{\"a\":1}}}",
                                         "{\"apiVersion\":7}",
                                         "{}{}"};

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct answer *a = expect(400, create(bodies[i], NULL));
        assert_string_equal(answer_str(a, "reason"), "BadRequest");
    }
    expect(422, create("{\"metadata\":{\"name\":\"a\"},\"spec\":7}", NULL));
    expect(422, create("{\"metadata\":{\"name\":\"a\"}}", NULL));
}

static void limits(void **state)
{
    size_t n = (size_t)4 << 20;
    char *body = malloc(n + 1);
    struct buffer deep = BUFFER_MAX(100000);

    memset(body, ' ', n);
    body[n] = '\0';
    expect(413, create(body, NULL));
    free(body);
    for (int i = 0; i < 5000; i++)
        buffer_puts(&deep, "{\"a\":");
    expect(400, create(deep.p, NULL));
    buffer_free(&deep);
}

/* A patch adds to what is there: without a limit an object could grow beyond any body. */
static void an_object_does_not_grow_without_limit(void **state)
{
    size_t n = (size_t)2 << 20;
    struct buffer b = BUFFER_MAX((size_t)4 << 20);
    char *text = malloc(n + 1);

    memset(text, 'x', n);
    text[n] = '\0';
    expect(201, create(WIDGET("a", "{}"), NULL));
    buffer_printf(&b, "{\"spec\":{\"colour\":\"%s\"}}", text);
    expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .body = b.p, .type = "application/merge-patch+json"));
    buffer_clear(&b);
    buffer_printf(&b, "{\"spec\":{\"owner\":\"%s\"}}", text);
    expect(413, CALL(&f, .method = "PATCH", .path = WIDGETS "/a", .body = b.p, .type = "application/merge-patch+json"));
    free(text);
    buffer_free(&b);
}

static void health(void **state)
{
    struct answer *a = expect(200, get("/healthz"));

    assert_string_equal(a->body.p, "ok");
    assert_string_equal(expect(200, get("/livez"))->body.p, "ok");
    a = expect(200, get("/readyz?verbose"));
    assert_string_equal(a->body.p, "[+]ping ok\n[+]store ok\nreadyz check passed\n");
    a = expect(200, get("/livez?verbose"));
    assert_string_equal(a->body.p, "[+]ping ok\nlivez check passed\n");
    expect(200, get("/readyz/"));
    /* Those who check need no account. */
    expect(200, CALL(&f, .path = "/healthz", .role = -1));
    a = expect(200, CALL(&f, .path = "/version", .role = -1));
    assert_string_equal(answer_str(a, "major"), "1");
    assert_true(strstr(answer_str(a, "gitVersion"), "0.0-test") != NULL);
    expect(401, CALL(&f, .path = "/metrics", .role = -1));
}

static void metrics(void **state)
{
    struct answer *a;

    expect(201, create(WIDGET("a", "{}"), NULL));
    expect(404, get(WIDGETS "/b"));
    a = expect(200, get("/metrics"));
    assert_true(answer_has(a, "open_hydra_api_requests_total{verb=\"create\",resource=\"widgets\",code=\"201\"} 1\n"));
    assert_true(answer_has(a, "open_hydra_api_requests_total{verb=\"get\",resource=\"widgets\",code=\"404\"} 1\n"));
    assert_true(answer_has(a, "open_hydra_store_objects{resource=\"widgets\"} 1\n"));
    assert_true(answer_has(a, "open_hydra_api_watchers{resource=\"widgets\"} 0\n"));
    assert_true(answer_has(a, "open_hydra_api_request_duration_seconds_count{verb=\"create\"} 1\n"));
    assert_true(answer_has(a, "open_hydra_store_revision "));
    assert_true(answer_has(a, "open_hydra_store_log_events 1\n"));
    assert_true(answer_has(a, "open_hydra_store_log_bytes "));
}

static void documents(void **state)
{
    char header[128], *etag, *end;
    struct answer *a = expect(200, get("/openapi/v3/apis/test.example.io/v1"));

    assert_true(answer_has(a, "io.example.test.v1.Widget"));
    etag = strcasestr(a->headers.p, "ETag: ");
    assert_non_null(etag);
    end = strstr(etag, "\r\n");
    snprintf(header, sizeof(header), "*/*\r\nIf-None-Match: %.*s", (int)(end - etag - 6), etag + 6);
    expect(304, CALL(&f, .path = "/openapi/v3/apis/test.example.io/v1", .accept = header));
    a = expect(200, get("/apis"));
    assert_true(answer_has(a, "test.example.io"));
    assert_true(answer_has_header(a, "Vary: Accept\r\n"));
    a = expect(200, CALL(&f, .path = "/apis",
                         .accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"));
    assert_string_equal(answer_str(a, "kind"), "APIGroupDiscoveryList");
    expect(200, get("/openapi/v2"));
    expect(200, get("/api"));
    a = expect(200, get("/apis/test.example.io/v1/"));
    assert_true(answer_has(a, "\"wd\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(unknown_paths), TEST(wrong_methods), TEST(media_types),
        TEST(bad_bodies),    TEST(limits),        TEST(an_object_does_not_grow_without_limit),
        TEST(health),        TEST(metrics),       TEST(documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
