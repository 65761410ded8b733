/* How long something may last, as people write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/duration.h"

static void what_is_understood(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"0", 0},       {"never", 0},   {"90", 90}, {"90s", 90},           {"30m", 1800},
                {"12h", 43200}, {"2d", 172800}, {"0h", 0},  {"366d", DURATION_MAX}};
    static const char *const bad[] = {"",   "h",  "s",    "-1",           "1 h",   "1.5h",
                                      "1w", "h1", "367d", "99999999999s", "Never", "1hh"};
    uint64_t seconds;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(duration_parse(str_from(good[i].text), DURATION_MAX, &seconds), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(duration_parse(str_from(bad[i]), DURATION_MAX, &seconds), -1);
}

static void what_is_said(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {{43200, "12 h"}, {86400, "24 h"},  {172800, "2 d"}, {90, "90 s"},
                 {120, "2 min"},  {5400, "90 min"}, {0, "0 s"}};
    char text[DURATION_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        duration_say(text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_understood),
        cmocka_unit_test(what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
