#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/identity/origin.h"

static const char *const hosts[] = {"127.0.0.1", "localhost", "::1", "lab.school.edu", NULL};
static const struct origin_policy plain = {hosts, false, 30001, false, NULL};
static const struct origin_policy tls = {hosts, false, 443, true, NULL};
static const struct origin_policy everywhere = {hosts, true, 30001, false, NULL};

static bool host_ok(const struct origin_policy *p, const char *host)
{
    return origin_check_host(p, host, NULL) == 0;
}

static void test_hosts(void **state)
{
    assert_true(host_ok(&plain, "127.0.0.1:30001"));
    assert_true(host_ok(&plain, "LocalHost:30001"));
    assert_true(host_ok(&plain, "[::1]:30001"));
    assert_true(host_ok(&tls, "lab.school.edu"));
    assert_true(host_ok(&tls, "lab.school.edu:443"));

    assert_false(host_ok(&plain, NULL));
    assert_false(host_ok(&plain, ""));
    assert_false(host_ok(&plain, "evil.example:30001"));
    assert_false(host_ok(&plain, "127.0.0.1"));
    assert_false(host_ok(&plain, "127.0.0.1:31000"));
    assert_false(host_ok(&plain, "127.0.0.1:30001x"));
    assert_false(host_ok(&plain, "127.0.0.1:"));
    assert_false(host_ok(&plain, "127.0.0.1.evil.example:30001"));
    assert_false(host_ok(&plain, "[::1"));
    assert_false(host_ok(&plain, "[::1]x:30001"));
    assert_false(host_ok(&plain, "[]:30001"));
    assert_false(host_ok(&plain, ":30001"));
    assert_false(host_ok(&plain, "localhost.:30001"));
    assert_false(host_ok(&plain, "192.0.2.1:30001"));
}

static void test_on_every_address_only_names_are_foreign(void **state)
{
    assert_true(host_ok(&everywhere, "192.0.2.1:30001"));
    assert_true(host_ok(&everywhere, "[2001:db8::1]:30001"));
    assert_false(host_ok(&everywhere, "192.0.2.1.evil.example:30001"));
    assert_false(host_ok(&everywhere, "evil.example:30001"));
    assert_false(host_ok(&everywhere, "0x7f000001:30001"));
}

static bool source_ok(const struct origin_policy *p, struct origin_request r)
{
    if (r.host == NULL)
        r.host = "127.0.0.1:30001";
    return origin_check_source(p, &r, NULL) == 0;
}

static void test_origin_of_writes(void **state)
{
    assert_true(source_ok(&plain, (struct origin_request){.method = HTTP_POST}));
    assert_true(source_ok(&plain, (struct origin_request){.method = HTTP_POST, .origin = "http://127.0.0.1:30001"}));
    static const char *const foreign[] = {
        "null", "http://127.0.0.1:31000",  "https://127.0.0.1:30001", "http://127.0.0.1", "http://localhost:30001",
        "",     "http://127.0.0.1:30001/", "http://evil.example"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        static const enum http_method writes[] = {HTTP_POST,   HTTP_PUT,     HTTP_PATCH,
                                                  HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER};
        for (size_t k = 0; k < sizeof(writes) / sizeof(writes[0]); k++)
            assert_false(source_ok(&plain, (struct origin_request){.method = writes[k], .origin = foreign[i]}));
        assert_true(source_ok(&plain, (struct origin_request){.method = HTTP_GET, .origin = foreign[i]}));
    }
    assert_true(source_ok(
        &tls,
        (struct origin_request){.method = HTTP_POST, .host = "lab.school.edu", .origin = "https://lab.school.edu"}));
}

static void test_without_a_page_of_ours_every_origin_is_foreign(void **state)
{
    assert_true(source_ok(NULL, (struct origin_request){.method = HTTP_POST}));
    assert_false(source_ok(NULL, (struct origin_request){.method = HTTP_POST, .origin = "http://127.0.0.1:30001"}));
    assert_false(source_ok(NULL, (struct origin_request){.method = HTTP_GET, .fetch_site = "cross-site"}));
}

static void test_fetch_metadata(void **state)
{
    static const char *const foreign[] = {"same-site", "cross-site", "Cross-Site"};
    for (size_t i = 0; i < 3; i++) {
        struct origin_request r = {.method = HTTP_GET, .fetch_site = foreign[i]};
        assert_false(source_ok(&plain, r));
        r.fetch_mode = "navigate";
        assert_false(source_ok(&plain, r));
        r.fetch_dest = "iframe";
        assert_false(source_ok(&plain, r));
        r.fetch_dest = "object";
        assert_false(source_ok(&plain, r));
        r.fetch_dest = "document";
        assert_true(source_ok(&plain, r));
        r.method = HTTP_HEAD;
        assert_true(source_ok(&plain, r));
        r.method = HTTP_POST;
        assert_false(source_ok(&plain, r));
        r.method = HTTP_GET;
        r.fetch_mode = "no-cors";
        assert_false(source_ok(&plain, r));
    }
    assert_true(source_ok(&plain, (struct origin_request){.method = HTTP_POST, .fetch_site = "same-origin"}));
    assert_true(source_ok(&plain, (struct origin_request){.method = HTTP_GET, .fetch_site = "none"}));
}

static void test_behind_another_proxy(void **state)
{
    static const struct origin_policy outside = {hosts, false, 30001, false, "https://hydra.school.example"};
    struct origin_request r = {
        .method = HTTP_POST, .host = "Hydra.school.example", .origin = "https://hydra.school.example"};

    assert_true(host_ok(&outside, "hydra.school.example"));
    assert_true(host_ok(&outside, "127.0.0.1:30001"));
    assert_false(host_ok(&outside, "hydra.school.example:30001"));
    assert_false(host_ok(&outside, "env-31000.hydra.school.example"));
    assert_true(source_ok(&outside, r));
    r.origin = "http://hydra.school.example";
    assert_false(source_ok(&outside, r));
    r.origin = "https://hydra.school.example:31000";
    assert_false(source_ok(&outside, r));
    r = (struct origin_request){.method = HTTP_POST, .origin = "http://127.0.0.1:30001"};
    assert_true(source_ok(&outside, r));
    r.origin = "https://hydra.school.example";
    assert_false(source_ok(&outside, r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_on_every_address_only_names_are_foreign),
        cmocka_unit_test(test_origin_of_writes),
        cmocka_unit_test(test_without_a_page_of_ours_every_origin_is_foreign),
        cmocka_unit_test(test_fetch_metadata),
        cmocka_unit_test(test_behind_another_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
