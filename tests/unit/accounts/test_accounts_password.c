#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "server/accounts/password.h"
#include "server/auth/auth.h"

static void test_hash_verifies_its_password_alone(void **state)
{
    _cleanup_free_ char *hash = password_hash("correct horse"), *again = password_hash("correct horse");
    assert_true(starts_with(hash, "$argon2id$v=19$m=65536,t=2,p=1$"));
    assert_string_not_equal(hash, again); /* salted */
    assert_true(password_verify(hash, "correct horse"));
    assert_false(password_verify(hash, "Correct horse"));
    assert_false(password_verify(hash, ""));
}

static void test_without_a_good_hash_nothing_verifies(void **state)
{
    assert_false(password_verify(NULL, ""));
    assert_false(password_verify("", ""));
    assert_false(password_verify("plain", "plain"));
}

static void *verify(void *arg)
{
    return password_verify(arg, "secret word") ? arg : NULL;
}

/* More threads than may run at once: all get their turn. */
static void test_many_at_once(void **state)
{
    _cleanup_free_ char *hash = password_hash("secret word");
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_create(&threads[i], NULL, verify, hash);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, hash);
    }
}

static void refused(const char *password, const char *cause)
{
    _cleanup_error_ struct error *e = NULL;
    assert_int_equal(password_check(password, "newPassword", &e), -1);
    assert_int_equal(e->reason, REASON_INVALID);
    assert_string_equal(e->causes[0].field, "newPassword");
    assert_string_equal(e->causes[0].reason, cause);
}

static void test_what_may_be_chosen(void **state)
{
    char text[1100];
    memset(text, 'x', sizeof(text));
    text[1024] = '\0';
    assert_int_equal(password_check(text, "p", NULL), 0);
    text[1024] = 'x';
    text[1025] = '\0';
    refused(text, "FieldValueTooLong");
    refused("1234567", "FieldValueInvalid");
    refused("密码密码密码密", "FieldValueInvalid"); /* characters, not bytes */
    refused("", "FieldValueInvalid");
    refused("1234567\n8", "FieldValueInvalid");
    refused(WELL_KNOWN_PASSWORD, "FieldValueInvalid");
    assert_int_equal(password_check("12345678", "p", NULL), 0);
    assert_int_equal(password_check("密码密码 with blanks", "p", NULL), 0);
    assert_int_equal(password_check("密码密码密码密码", "p", NULL), 0);
}

/* The same, but for the seed's. */
static void test_what_may_be_given(void **state)
{
    static const char *const bad[] = {"1234567", "", "tab\tinside", "delete\x7fhere"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_error_ struct error *e = NULL;
        assert_int_equal(password_check_given(bad[i], "spec.password", &e), -1);
        assert_string_equal(e->causes[0].field, "spec.password");
    }
    assert_int_equal(password_check_given(WELL_KNOWN_PASSWORD, "p", NULL), 0);
    assert_int_equal(password_check_given("password", "p", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_verifies_its_password_alone),
        cmocka_unit_test(test_without_a_good_hash_nothing_verifies),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_what_may_be_chosen),
        cmocka_unit_test(test_what_may_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
