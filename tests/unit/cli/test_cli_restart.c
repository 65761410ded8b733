/* When what ended is started again. */
#include "cli/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attributes.h"

#define SECOND INT64_C(1000000)

static void the_first_is_at_once_and_pauses_grow(void **state)
{
    static const int64_t pauses[] = {0, 1, 2, 4, 8, 16, 30, 30, 30};
    struct restart r = {0};

    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++)
        assert_int_equal(restart_pause(&r, i % 2 ? 0 : 5 * SECOND - 1), pauses[i] * SECOND);
    /* For years. */
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(restart_pause(&r, SECOND), 30 * SECOND);
    r.quick = UINT32_MAX - 1;
    assert_int_equal(restart_pause(&r, SECOND), 30 * SECOND);
}

static void what_lived_begins_anew(void **state)
{
    struct restart r = {0};

    for (unsigned i = 0; i < 5; i++)
        (void)restart_pause(&r, 0);
    assert_int_equal(restart_pause(&r, 5 * SECOND), 0);
    assert_int_equal(r.quick, 0);
    assert_int_equal(restart_pause(&r, 0), 0);
    assert_int_equal(restart_pause(&r, 0), 1 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_at_once_and_pauses_grow),
        cmocka_unit_test(what_lived_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
