/* When what ended is started again. */
#include "cli/restart.h"

#include <setjmp.h>
#include <signal.h>
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
        assert_int_equal(restart_pause(&r, i % 2 ? 0 : 5 * SECOND - 1, false), pauses[i] * SECOND);
    /* For years. */
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(restart_pause(&r, SECOND, false), 30 * SECOND);
    r.quick = UINT32_MAX - 1;
    assert_int_equal(restart_pause(&r, SECOND, false), 30 * SECOND);
}

static void what_lived_begins_anew(void **state)
{
    struct restart r = {0};

    for (unsigned i = 0; i < 5; i++)
        (void)restart_pause(&r, 0, false);
    assert_int_equal(restart_pause(&r, 5 * SECOND, false), 0);
    assert_int_equal(r.quick, 0);
    assert_int_equal(restart_pause(&r, 0, false), 0);
    assert_int_equal(restart_pause(&r, 0, false), 1 * SECOND);
}

/* However often somebody kills it, it is back within seconds; what fails by itself afterwards goes on where it was. */
static void what_was_killed_is_back_soon(void **state)
{
    static const int64_t pauses[] = {0, 1, 2, 4, 5, 5, 5};
    struct restart r = {0};

    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++)
        assert_int_equal(restart_pause(&r, SECOND, true), pauses[i] * SECOND);
    assert_int_equal(restart_pause(&r, SECOND, false), 30 * SECOND);
    assert_int_equal(restart_pause(&r, SECOND, true), 5 * SECOND);
    assert_int_equal(restart_pause(&r, 5 * SECOND, true), 0);
}

/* As waitpid gives them: a signal is the number itself, a code stands a byte higher. */
static void who_ended_it(void **state)
{
    static const int sent[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    static const int own[] = {0, 1 << 8, SIGKILL << 8, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGPIPE};

    for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
        assert_true(restart_was_killed(sent[i]));
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        assert_false(restart_was_killed(own[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_at_once_and_pauses_grow),
        cmocka_unit_test(what_lived_begins_anew),
        cmocka_unit_test(what_was_killed_is_back_soon),
        cmocka_unit_test(who_ended_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
