#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/accounts/names.h"

static void test_names(void **state)
{
    static const struct {
        const char *typed, *name;
    } cases[] = {
        {"wang", "wang"},
        {"Wang", "wang"},
        {"S2023AZ-01", "s2023az-01"},
        {" \twang\r\n", "wang"},
        {"\u3000wang\u00a0", "wang"},
        {"\ufeffwang\u200b", "wang"},
        {"ｗａｎｇ２０２３－０１", "wang2023-01"},
        {"ＷＡＮＧＺ", "wangz"},
        {"！～", "!~"},
        {"a b", "a b"},
        {"王芳", "王芳"},
        {"\uff00\uff5f", "\uff00\uff5f"}, /* the neighbours */
        {"", ""},
        {"   ", ""},
        {"\xff\xc2", "\xff\xc2"},
        {"\xef\xbc", "\xef\xbc"},
        {"a\xe3\x80", "a\xe3\x80"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *name = login_name(cases[i].typed);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_passwords(void **state)
{
    static const char *const cases[][2] = {
        {"secret", "secret"},
        {"secret\r\n", "secret"},
        {"\n\nsecret\n", "secret"},
        {" secret ", " secret "},
        {"se\ncret", "se\ncret"},
        {"\n", ""},
        {"", ""},
        {"ＳＥＣ", "ＳＥＣ"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *password = login_password(cases[i][0]);
        assert_string_equal(password, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
