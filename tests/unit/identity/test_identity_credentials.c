#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "server/accounts/cookie.h"
#include "server/identity/credentials.h"

static void assert_str(struct str s, const char *expected)
{
    if (!str_is(s, expected))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)s.n, s.p, expected);
}

static void test_cookie_is_found_among_others(void **state)
{
    struct str rest = STR("a=1; open-hydra-session=tok; b=2"), value;
    assert_true(cookie_next(&rest, COOKIE_PLAIN, &value));
    assert_str(value, "tok");
    assert_false(cookie_next(&rest, COOKIE_PLAIN, &value));
}

static void test_each_of_several_cookies_is_found(void **state)
{
    struct str rest = STR("open-hydra-session=evil;open-hydra-session=\"good\";  open-hydra-session="), value;
    assert_true(cookie_next(&rest, COOKIE_PLAIN, &value));
    assert_str(value, "evil");
    assert_true(cookie_next(&rest, COOKIE_PLAIN, &value));
    assert_str(value, "good");
    assert_true(cookie_next(&rest, COOKIE_PLAIN, &value));
    assert_int_equal(value.n, 0);
    assert_false(cookie_next(&rest, COOKIE_PLAIN, &value));
}

static void test_cookie_names_are_exact(void **state)
{
    static const char *const headers[] = {"",
                                          ";",
                                          "=x",
                                          "open-hydra-session",
                                          "Open-Hydra-Session=x",
                                          "xopen-hydra-session=x",
                                          "open-hydra-session2=x",
                                          ";;=;="};
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        struct str rest = str_from(headers[i]), value;
        assert_false(cookie_next(&rest, COOKIE_PLAIN, &value));
    }
    struct str none = {0}, value;
    assert_false(cookie_next(&none, COOKIE_PLAIN, &value));
}

static void test_cookie_attributes(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(512);
    cookie_write(&b, true, "T", 60);
    assert_string_equal(b.p, "__Host-Http-open-hydra=T; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
    buffer_clear(&b);
    cookie_write(&b, false, NULL, 60);
    assert_string_equal(b.p, "open-hydra-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}

static void test_bearer(void **state)
{
    struct str token;
    assert_true(credentials_bearer("bearer  abc ", &token));
    assert_str(token, "abc");
    assert_true(credentials_bearer("Bearer ", &token));
    assert_int_equal(token.n, 0);
    assert_false(credentials_bearer(NULL, &token));
    assert_false(credentials_bearer("", &token));
    assert_false(credentials_bearer("Bearer", &token) && token.n);
    assert_false(credentials_bearer("Basic abc", &token));
    assert_false(credentials_bearer("Bearerabc", &token));
}

static int login_of(const char *raw, size_t n, struct login *out)
{
    _cleanup_free_ char *encoded = base64_encode(raw, n);
    _cleanup_free_ char *header = xasprintf("Bearer %s", encoded);
    return credentials_login(header, out);
}

static void test_first_colon_splits(void **state)
{
    _cleanup_login_ struct login l = {0};
    assert_int_equal(login_of("user1:a:b:", 10, &l), 0);
    assert_string_equal(l.user, "user1");
    assert_string_equal(l.password, "a:b:");
}

static void test_as_it_was_typed(void **state)
{
    _cleanup_login_ struct login l = {0};
    assert_int_equal(login_of(" User\xef\xbc\x91 :a b\r\n", 15, &l), 0);
    assert_string_equal(l.user, "user1");
    assert_string_equal(l.password, "a b");
}

static void test_an_empty_password_is_a_claim_too(void **state)
{
    _cleanup_login_ struct login l = {0};
    assert_int_equal(login_of("user1:", 6, &l), 0);
    assert_string_equal(l.password, "");
}

static void test_bad_logins(void **state)
{
    _cleanup_login_ struct login l = {0};
    assert_int_equal(login_of("user1", 5, &l), -1);
    assert_int_equal(login_of(":pass", 5, &l), -1);
    assert_int_equal(login_of("", 0, &l), -1);
    assert_int_equal(login_of(" \003:pass", 7, &l), -1);
    assert_int_equal(login_of("us\0er:pass", 10, &l), -1);
    assert_int_equal(login_of("user:pa\0ss", 10, &l), -1);
    assert_int_equal(credentials_login("Bearer ***", &l), -1);
    assert_int_equal(credentials_login("Basic dTpw", &l), -1);
    assert_int_equal(credentials_login(NULL, &l), -1);

    char longest[2048] = "u:";
    for (size_t i = 2; i < sizeof(longest); i++)
        longest[i] = 'x';
    assert_int_equal(login_of(longest, 2 + 1025, &l), -1);
    assert_int_equal(login_of(longest, 2 + 1024, &l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookie_is_found_among_others),
        cmocka_unit_test(test_each_of_several_cookies_is_found),
        cmocka_unit_test(test_cookie_names_are_exact),
        cmocka_unit_test(test_cookie_attributes),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_first_colon_splits),
        cmocka_unit_test(test_as_it_was_typed),
        cmocka_unit_test(test_an_empty_password_is_a_claim_too),
        cmocka_unit_test(test_bad_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
