#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "server/auth/throttle.h"

#define S ((int64_t)1000000)

static int setup(void **state)
{
    *state = throttle_new();
    return 0;
}

static int teardown(void **state)
{
    throttle_free(*state);
    return 0;
}

static void fail_times(struct throttle *t, unsigned n, const char *account, const char *address, int64_t now)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(throttle_begin(t, account, address, now), 0);
}

static void test_account_waits_double(void **state)
{
    struct throttle *t = *state;
    int64_t now = 1000 * S;
    fail_times(t, 6, "u", "10.0.0.1", now); /* the sixth is looked at, and then the first wait begins */
    for (unsigned wait = 1; wait <= 32; wait *= 2) {
        assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now), wait); /* from anywhere */
        assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now + S / 2), wait);
        now += wait * S;
        assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now), 0);
    }
    /* Never longer than a minute. */
    assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now), 60);
    assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now + 60 * S), 0);
    assert_int_equal(throttle_begin(t, "u", "10.0.0.2", now + 60 * S), 60);
    assert_int_equal(throttle_begin(t, "v", "10.0.0.3", now), 0);
}

static void test_success_forgets_an_account(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", "10.0.0.1", S);
    assert_int_equal(throttle_begin(t, "u", "10.0.0.1", S), 1);
    throttle_succeeded(t, "u", "10.0.0.1", S);
    fail_times(t, 6, "u", "10.0.0.1", S);
}

static void test_time_forgives(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", "10.0.0.1", S);
    fail_times(t, 5, "u", "10.0.0.1", (1 + 5 * 120) * S); /* ten minutes: five of six forgiven */
    assert_int_equal(throttle_begin(t, "u", "10.0.0.1", (1 + 5 * 120) * S), 1);
}

static void test_addresses_have_more_room(void **state)
{
    struct throttle *t = *state;
    char name[16];
    for (unsigned i = 0; i < 61; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(throttle_begin(t, name, "10.0.0.1", S), 0);
    }
    assert_int_equal(throttle_begin(t, "another", "10.0.0.1", S), 1);
    assert_int_equal(throttle_begin(t, "another", "10.0.0.2", S), 0);
    /* Somebody's own success does not make room for the rest of his guesses. */
    throttle_succeeded(t, "u0", "10.0.0.1", S);
    assert_int_equal(throttle_begin(t, "x", "10.0.0.1", S), 0);
    assert_int_equal(throttle_begin(t, "x", "10.0.0.1", S), 1);
}

static void test_a_class_behind_one_address_logs_in(void **state)
{
    struct throttle *t = *state;
    char name[16];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(throttle_begin(t, name, "10.0.0.1", S), 0);
        throttle_succeeded(t, name, "10.0.0.1", S);
    }
}

static void test_an_ipv6_network_is_one_client(void **state)
{
    struct throttle *t = *state;
    char name[16], address[64];
    for (unsigned i = 0; i < 61; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        snprintf(address, sizeof(address), "2001:db8:0:1::%x", i + 1);
        assert_int_equal(throttle_begin(t, name, address, S), 0);
    }
    assert_int_equal(throttle_begin(t, "another", "2001:db8:0:1:ffff::1", S), 1);
    assert_int_equal(throttle_begin(t, "another", "2001:db8:0:2::1", S), 0);
}

/* Names and addresses without end: the oldest entries go (memory is watched by the sanitizer and the limit in the map).
 */
static void test_memory_is_bounded(void **state)
{
    struct throttle *t = *state;
    char name[32];
    fail_times(t, 6, "first", "10.0.0.1", S);
    for (unsigned i = 0; i < 30000; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(throttle_begin(t, name, name, S), 0);
    }
    assert_int_equal(throttle_begin(t, "first", "10.0.0.9", S), 0);
}

static void test_long_names_are_no_trouble(void **state)
{
    struct throttle *t = *state;
    char name[500];
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = 'x';
    name[sizeof(name) - 1] = '\0';
    fail_times(t, 6, name, name, S);
    assert_int_equal(throttle_begin(t, name, "10.0.0.1", S), 1);
    throttle_succeeded(t, name, name, S);
    assert_int_equal(throttle_begin(t, name, "10.0.0.1", S), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_account_waits_double),
        T(test_success_forgets_an_account),
        T(test_time_forgives),
        T(test_addresses_have_more_room),
        T(test_memory_is_bounded),
        T(test_a_class_behind_one_address_logs_in),
        T(test_long_names_are_no_trouble),
        T(test_an_ipv6_network_is_one_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
