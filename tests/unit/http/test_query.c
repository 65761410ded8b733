#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "http/query.h"

static void check(struct str query, const char *expected)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096);
    struct query_parameter p;

    while (query_next(&query, a, &p))
        buffer_printf(&b, "[%s|%s]", p.name, p.value);
    assert_string_equal(b.p ? b.p : "", expected);
}

static void test_pairs(void **state)
{
    check(STR(""), "");
    check(STR("a=1"), "[a|1]");
    check(STR("a=1&b=2&a=3"), "[a|1][b|2][a|3]");
    check(STR("a&b=&=c&="), "[a|][b|][|c][|]");
    check(STR("&&a=1&&"), "[a|1]");
    check(STR("a=b=c"), "[a|b=c]");
    check(STR("a%3Db=c%26d"), "[a=b|c&d]");
    check(STR("l=x+y%2B"), "[l|x y+]");
    check(STR("labelSelector=a%20in%20%28b%2Cc%29"), "[labelSelector|a in (b,c)]");
    check((struct str){NULL, 0}, "");
}

static void test_bad_ones_are_skipped(void **state)
{
    check(STR("a=%&b=1"), "[b|1]");
    check(STR("a=%4&b=1"), "[b|1]");
    check(STR("%zz=1&b=1"), "[b|1]");
    check(STR("a=%00&b=1"), "[b|1]");
    check(STR("a=x\0y&b=1"), "[b|1]");
    check(STR("a=%41\0&b=1"), "[b|1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_bad_ones_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
