#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "server/accounts/throttle.h"

#define S ((int64_t)1000000)
#define HERE "10.0.0.1"
#define THERE "10.0.0.2"

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

static struct throttle_verdict begin(struct throttle *t, const char *account, const char *address, int64_t now)
{
    const struct throttle_attempt a = {account, address, NULL};
    return throttle_begin(t, &a, now);
}

static unsigned refused(struct throttle *t, const char *account, const char *address, int64_t now)
{
    struct throttle_verdict v = begin(t, account, address, now);
    assert_int_equal(v.wait_us, 0);
    return v.refused;
}

static int64_t wait(struct throttle *t, const char *account, const char *address, int64_t now)
{
    struct throttle_verdict v = begin(t, account, address, now);
    assert_int_equal(v.refused, 0);
    return v.wait_us;
}

static void succeed(struct throttle *t, const char *account, const char *address, int64_t now)
{
    const struct throttle_attempt a = {account, address, NULL};
    throttle_succeeded(t, &a, now);
}

static void fail_times(struct throttle *t, unsigned n, const char *account, const char *address, int64_t now)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(wait(t, account, address, now), 0);
}

/* Wrong passwords of many accounts from one address. */
static void spray(struct throttle *t, unsigned n, const char *address, int64_t now)
{
    char name[16];
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(wait(t, name, address, now), 0);
    }
}

/* Wrong passwords of one account from many addresses. */
static void swarm(struct throttle *t, unsigned n, const char *account, int64_t now)
{
    char address[32];
    for (unsigned i = 0; i < n; i++) {
        snprintf(address, sizeof(address), "10.1.%u.%u", i / 256, i % 256);
        (void)begin(t, account, address, now);
    }
}

static void test_a_pair_waits_double(void **state)
{
    struct throttle *t = *state;
    int64_t now = 1000 * S;
    fail_times(t, 6, "u", HERE, now); /* the sixth is looked at, and then the first wait begins */
    for (unsigned pause = 1; pause <= 16; pause *= 2) {
        assert_int_equal(refused(t, "u", HERE, now), pause);
        assert_int_equal(refused(t, "u", HERE, now + S / 2), pause);
        now += pause * S;
        assert_int_equal(refused(t, "u", HERE, now - 1), 1);
        assert_int_equal(wait(t, "u", HERE, now), 0);
    }
    /* Never longer than half a minute. */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(refused(t, "u", HERE, now), 30);
        now += 30 * S;
        assert_int_equal(wait(t, "u", HERE, now), 0);
    }
    /* And nobody else. */
    assert_int_equal(wait(t, "u", THERE, now), 0);
    assert_int_equal(wait(t, "v", HERE, now), 0);
}

/* Of whom one's name ends where the other's address begins. */
static void test_names_and_addresses_are_kept_apart(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u1", "0.0.0.1", S);
    assert_int_equal(wait(t, "u", "10.0.0.1", S), 0);
    assert_int_equal(wait(t, "u10.0.0.1", "", S), 0);
}

static void test_success_forgets_a_pair(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", HERE, S);
    assert_int_equal(refused(t, "u", HERE, S), 1);
    succeed(t, "u", HERE, S);
    fail_times(t, 6, "u", HERE, S);
    assert_int_equal(refused(t, "u", HERE, S), 1);
    succeed(t, "u", THERE, S);
    assert_int_equal(refused(t, "u", HERE, S), 1);
}

static void test_time_forgives_a_pair(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", HERE, S);
    /* One in two minutes: five of six after ten, so that five are free. */
    fail_times(t, 5, "u", HERE, (1 + 5 * 120) * S);
    assert_int_equal(refused(t, "u", HERE, (1 + 5 * 120) * S), 1);
    fail_times(t, 6, "v", HERE, S);
    assert_int_equal(wait(t, "v", HERE, (1 + 120) * S - 1), 0);
    assert_true(refused(t, "v", HERE, (1 + 120) * S - 1) > 0);
}

/* Whoever tries in between loses nothing of it. */
static void test_time_that_is_not_used_up_counts_on(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", HERE, S);
    assert_int_equal(wait(t, "u", HERE, (1 + 239) * S), 0); /* one is forgiven, at 120 */
    assert_int_equal(wait(t, "u", HERE, (1 + 241) * S), 0); /* and one at 240 */
    assert_int_equal(refused(t, "u", HERE, (1 + 241) * S), 1);
}

/* However long somebody went on: half an hour later a few are free again. */
static void test_a_long_siege_is_forgotten(void **state)
{
    struct throttle *t = *state;
    int64_t now = S;
    for (unsigned i = 0; i < 500; i++, now += 30 * S)
        (void)begin(t, "u", HERE, now);
    now += (11 - 5) * 120 * S;
    struct throttle_verdict v;
    unsigned tries = 0;
    while ((v = begin(t, "u", HERE, now)).refused == 0 && tries < 20)
        tries++;
    assert_in_range(tries, 1, 3);
    assert_int_equal(v.refused, 1);
}

/* --- An account that the whole world guesses at --- */

static void test_an_account_is_slow_and_never_shut(void **state)
{
    struct throttle *t = *state;
    swarm(t, 50, "admin", S);
    assert_int_equal(wait(t, "admin", HERE, S), 0);
    assert_int_equal(wait(t, "admin", THERE, S), S);
    assert_int_equal(wait(t, "other", THERE, S), 0);
    swarm(t, 2000, "admin", S);
    assert_int_equal(wait(t, "admin", "10.9.0.1", S), 4 * S);
    assert_int_equal(wait(t, "admin", "10.9.0.2", S + 1), 4 * S);
}

static void test_an_account_is_forgiven(void **state)
{
    struct throttle *t = *state;
    swarm(t, 2000, "admin", S);
    /* A hundred are remembered, one is forgiven in half a minute; what waited is over with the siege. */
    assert_int_equal(wait(t, "admin", "10.9.0.1", 7 * S), 0);
    assert_int_equal(wait(t, "admin", "10.9.0.2", 7 * S), S);
    assert_int_equal(wait(t, "admin", "10.9.0.3", (1 + 51 * 30) * S), 0);
    assert_int_equal(wait(t, "admin", "10.9.0.4", (1 + 51 * 30) * S), 0);
    assert_int_equal(wait(t, "admin", "10.9.0.5", (1 + 51 * 30) * S), S);
}

/* The owner at the usual desk waits for nobody. */
static void test_an_address_that_has_logged_in_passes(void **state)
{
    struct throttle *t = *state;
    assert_int_equal(wait(t, "admin", HERE, S), 0);
    succeed(t, "admin", HERE, S);
    swarm(t, 2000, "admin", S);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(wait(t, "admin", HERE, S), 0);
    assert_int_equal(refused(t, "admin", HERE, S), 1); /* who guesses there waits as well */
}

/* --- An address with a class behind it --- */

static void test_addresses_have_more_room(void **state)
{
    struct throttle *t = *state;
    spray(t, 61, HERE, S);
    assert_int_equal(wait(t, "another", HERE, S), S / 5);
    assert_int_equal(wait(t, "third", HERE, S), 2 * S / 5);
    assert_int_equal(wait(t, "another", THERE, S), 0);
    /* Somebody's own success does not make room for the rest of his guesses. */
    succeed(t, "u0", HERE, S);
    assert_true(wait(t, "x", HERE, S) > 0);
}

static void test_an_address_is_forgiven(void **state)
{
    struct throttle *t = *state;
    spray(t, 61, HERE, S);
    /* One in five seconds. */
    assert_int_equal(wait(t, "a", HERE, S + S / 5), 0);
    assert_int_equal(wait(t, "b", HERE, S + 5 * S - 1), 0);
    assert_int_equal(wait(t, "c", HERE, S + 5 * S - 1), S / 5);
    fail_times(t, 1, "d", HERE, S + 10 * S);
    assert_int_equal(wait(t, "e", HERE, S + 10 * S), S / 5);
}

/* Sixty who have never logged in from there, while somebody guesses as fast as is let through. */
static void test_a_class_passes_beside_a_guesser(void **state)
{
    struct throttle *t = *state;
    char name[24];
    spray(t, 61, HERE, S);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "guessed%u", i);
        (void)begin(t, name, HERE, S);
        snprintf(name, sizeof(name), "student%u", i);
        assert_true(wait(t, name, HERE, S) <= 25 * S);
        succeed(t, name, HERE, S);
    }
    /* The next day they wait no more, whatever else waits there. */
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "sprayed%u", i);
        (void)begin(t, name, HERE, 100 * S);
    }
    assert_int_equal(wait(t, "student7", HERE, 100 * S), 0);
    assert_true(refused(t, "nobody", HERE, 100 * S) > 0);
}

static void test_what_waits_at_an_address_is_bounded(void **state)
{
    struct throttle *t = *state;
    char name[16];
    unsigned waiting = 0;
    spray(t, 61, HERE, S);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "w%u", i);
        struct throttle_verdict v = begin(t, name, HERE, S);
        assert_true(v.wait_us <= 25 * S);
        assert_true(v.refused <= 1);
        waiting += v.refused == 0;
    }
    assert_int_equal(waiting, 125);
}

static void test_a_class_behind_one_address_logs_in(void **state)
{
    struct throttle *t = *state;
    char name[16];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(wait(t, name, HERE, S), 0);
        succeed(t, name, HERE, S);
    }
}

/* --- Browsers --- */

static void test_a_familiar_browser_passes(void **state)
{
    struct throttle *t = *state;
    const struct throttle_attempt mine = {"admin", HERE, "b1"}, other = {"admin", HERE, "b2"},
                                  ben = {"ben", HERE, "b1"};
    fail_times(t, 6, "admin", HERE, S);
    assert_true(refused(t, "admin", HERE, S) > 0);
    for (unsigned i = 0; i < 11; i++) {
        struct throttle_verdict v = throttle_begin(t, &mine, S);
        assert_int_equal(v.refused, 0);
        assert_int_equal(v.wait_us, 0);
    }
    /* Who guesses from it is a stranger then, and the others are not. */
    assert_true(throttle_begin(t, &mine, S).refused > 0);
    assert_int_equal(throttle_begin(t, &other, S).refused, 0);
    assert_int_equal(throttle_begin(t, &ben, S).refused, 0);
    /* One in two minutes, and one as a stranger. */
    assert_int_equal(throttle_begin(t, &mine, (1 + 120) * S).refused, 0);
    assert_int_equal(throttle_begin(t, &mine, (1 + 120) * S).refused, 0);
    assert_true(throttle_begin(t, &mine, (1 + 120) * S).refused > 0);
}

static void test_its_own_success_counts_not(void **state)
{
    struct throttle *t = *state;
    const struct throttle_attempt mine = {"admin", HERE, "b1"};
    for (unsigned i = 0; i < 100; i++) {
        struct throttle_verdict v = throttle_begin(t, &mine, S);
        assert_int_equal(v.refused, 0);
        throttle_succeeded(t, &mine, S);
    }
}

/* --- Addresses and memory --- */

static void test_an_ipv6_network_is_one_client(void **state)
{
    struct throttle *t = *state;
    char name[16], address[64];
    for (unsigned i = 0; i < 61; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        snprintf(address, sizeof(address), "2001:db8:0:1::%x", i + 1);
        assert_int_equal(wait(t, name, address, S), 0);
    }
    assert_int_equal(wait(t, "another", "2001:db8:0:1:ffff::1", S), S / 5);
    assert_int_equal(wait(t, "another", "2001:db8:0:2::1", S), 0);
    fail_times(t, 6, "v", "2001:db8:0:3::1", S);
    assert_int_equal(refused(t, "v", "2001:db8:0:3::2", S), 1);
}

/* A listener for both kinds of address writes these so: they are no network of one client. */
static void test_ipv4_within_ipv6(void **state)
{
    struct throttle *t = *state;
    fail_times(t, 6, "u", "::ffff:10.0.0.1", S);
    assert_int_equal(refused(t, "u", "10.0.0.1", S), 1);
    assert_int_equal(wait(t, "u", "::ffff:10.0.0.2", S), 0);
}

/* Names and addresses without end: the oldest entries go, of each kind by itself. */
static void test_memory_is_bounded(void **state)
{
    struct throttle *t = *state;
    char name[32];
    fail_times(t, 6, "first", HERE, S);
    swarm(t, 60, "admin", S);
    for (unsigned i = 0; i < 30000; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        assert_int_equal(wait(t, name, name, S), 0);
        if (i % 1000 == 0)
            (void)begin(t, "admin", name, S);
    }
    assert_int_equal(wait(t, "first", HERE, S), 0);
    assert_true(wait(t, "admin", THERE, S) > 0); /* in use all the while */
}

static void test_long_names_are_no_trouble(void **state)
{
    struct throttle *t = *state;
    char name[500], other[500];
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = other[i] = 'x';
    name[sizeof(name) - 1] = other[sizeof(name) - 1] = '\0';
    other[sizeof(name) - 2] = 'y';
    fail_times(t, 6, name, name, S);
    assert_int_equal(refused(t, name, name, S), 1);
    assert_int_equal(wait(t, other, name, S), 0);
    succeed(t, name, name, S);
    assert_int_equal(wait(t, name, name, S), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_pair_waits_double),
        T(test_names_and_addresses_are_kept_apart),
        T(test_success_forgets_a_pair),
        T(test_time_forgives_a_pair),
        T(test_time_that_is_not_used_up_counts_on),
        T(test_a_long_siege_is_forgotten),
        T(test_an_account_is_slow_and_never_shut),
        T(test_an_account_is_forgiven),
        T(test_an_address_that_has_logged_in_passes),
        T(test_addresses_have_more_room),
        T(test_an_address_is_forgiven),
        T(test_a_class_passes_beside_a_guesser),
        T(test_what_waits_at_an_address_is_bounded),
        T(test_a_class_behind_one_address_logs_in),
        T(test_a_familiar_browser_passes),
        T(test_its_own_success_counts_not),
        T(test_an_ipv6_network_is_one_client),
        T(test_ipv4_within_ipv6),
        T(test_memory_is_bounded),
        T(test_long_names_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
