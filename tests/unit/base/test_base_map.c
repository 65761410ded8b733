#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"

#define KEYS 500

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

static struct str key_of(unsigned i)
{
    static char text[16];

    return (struct str){text, (size_t)snprintf(text, sizeof(text), "k%u", i)};
}

/* What is not there is not found, however full it is. */
static void test_it_grows(void **state)
{
    struct map *m = map_new();
    int values[KEYS];

    for (unsigned i = 0; i < KEYS; i++) {
        assert_null(map_get(m, key_of(i)));
        assert_null(map_remove(m, key_of(i)));
        assert_null(map_set(m, key_of(i), &values[i]));
        assert_int_equal(map_size(m), i + 1);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(m, key_of(i)), &values[i]);
    map_free(m, NULL);
}

static void check_all(const struct map *m, int *const expected[static KEYS])
{
    struct str key;
    size_t n = 0, seen = 0;
    void *value;

    for (unsigned i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, key_of(i)), expected[i]);
        n += expected[i] != NULL;
    }
    assert_int_equal(map_size(m), n);
    for (size_t at = 0; map_next(m, &at, &key, &value); seen++)
        assert_ptr_equal(value, map_get(m, key));
    assert_int_equal(seen, n);
}

/* Coming and going beside each other: whoever goes leaves no gap in front of another. */
static void test_what_goes_hides_nobody(void **state)
{
    struct map *m = map_new();
    int values[KEYS], *expected[KEYS] = {0};
    uint32_t dice = 1;

    for (unsigned i = 0; i < 20000; i++) {
        dice = dice * 1664525 + 1013904223;
        unsigned at = (dice >> 8) % KEYS;
        bool comes = dice >> 31;
        assert_ptr_equal(comes ? map_set(m, key_of(at), &values[at]) : map_remove(m, key_of(at)), expected[at]);
        expected[at] = comes ? &values[at] : NULL;
        if (i % 1000 == 0)
            check_all(m, expected);
    }
    check_all(m, expected);
    map_free(m, NULL);
}

static unsigned freed;

static void count_free(void *value)
{
    freed++;
}

static void test_values_are_freed(void **state)
{
    struct map *m = map_new();
    int value;

    freed = 0;
    map_set(m, STR("a"), &value);
    map_set(m, STR("b"), &value);
    map_remove(m, STR("b"));
    map_set(m, STR("c"), &value);
    map_free(m, count_free);
    map_free(NULL, count_free);
    assert_int_equal(freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_may_hold_nul),
        cmocka_unit_test(test_it_grows),
        cmocka_unit_test(test_what_goes_hides_nobody),
        cmocka_unit_test(test_values_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
