#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"

static void test_keys_may_hold_nul(void **state)
{
    struct map *m = map_new();
    const struct str a = {"\0\0\0a", 4}, b = {"\0\0\0b", 4};
    int one, two;

    assert_null(map_set(m, a, &one));
    assert_null(map_set(m, b, &two));
    assert_ptr_equal(map_get(m, a), &one);
    assert_ptr_equal(map_get(m, b), &two);
    assert_ptr_equal(map_remove(m, a), &one);
    assert_null(map_get(m, a));
    assert_ptr_equal(map_get(m, b), &two);
    map_free(m, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_may_hold_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
