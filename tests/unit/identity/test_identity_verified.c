#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/attributes.h"
#include "server/identity/verified.h"

#define MINUTE ((int64_t)60 * 1000000)

struct login {
    unsigned char digest[HASH_SIZE], stamp[HASH_SIZE];
};

static struct login login_of(struct verified *v, const char *user, const char *password, const char *hash)
{
    struct login l;
    verified_digest(v, user, password, l.digest);
    verified_stamp(v, hash, l.stamp);
    return l;
}

static int setup(void **state)
{
    *state = verified_new();
    return 0;
}

static int teardown(void **state)
{
    verified_free(*state);
    return 0;
}

static void learn(struct verified *v, const struct login *l, int64_t now)
{
    struct verified_waiter w = {0};
    assert_int_equal(verified_begin(v, l->digest, l->stamp, now, &w), VERIFIED_YOURS);
    assert_ptr_equal(verified_end(v, l->digest, l->stamp, now), &w);
}

static bool known(struct verified *v, const struct login *l, int64_t now)
{
    struct verified_waiter w = {0};
    if (verified_begin(v, l->digest, l->stamp, now, &w) == VERIFIED_KNOWN)
        return true;
    verified_end(v, l->digest, NULL, now);
    return false;
}

static void test_known_for_some_minutes(void **state)
{
    struct login l = login_of(*state, "u", "p", "hash");
    assert_false(known(*state, &l, 0));
    learn(*state, &l, 0);
    assert_true(known(*state, &l, 0));
    assert_true(known(*state, &l, 5 * MINUTE - 1));
    assert_false(known(*state, &l, 5 * MINUTE));
}

static void test_another_hash_is_not_known(void **state)
{
    struct login old = login_of(*state, "u", "p", "hash"), new = login_of(*state, "u", "p", "other"),
                 none = login_of(*state, "u", "p", NULL);
    learn(*state, &old, 0);
    assert_false(known(*state, &new, 0));
    assert_false(known(*state, &none, 0));
    learn(*state, &new, MINUTE);
    assert_true(known(*state, &new, MINUTE));
    assert_false(known(*state, &old, MINUTE));
    /* The old entry's end is not the new one's. */
    struct login other = login_of(*state, "v", "p", "hash");
    learn(*state, &other, 5 * MINUTE);
    assert_true(known(*state, &new, 5 * MINUTE));
}

static void test_name_and_password_are_told_apart(void **state)
{
    struct login a = login_of(*state, "ab", "c", "hash"), b = login_of(*state, "a", "bc", "hash");
    assert_memory_not_equal(a.digest, b.digest, HASH_SIZE);
    struct verified *other = verified_new();
    struct login c = login_of(other, "ab", "c", "hash");
    assert_memory_not_equal(a.digest, c.digest, HASH_SIZE); /* a key of its own */
    verified_free(other);
}

static void test_many_wait_for_one(void **state)
{
    struct login l = login_of(*state, "u", "p", "hash");
    struct verified_waiter w[3];
    size_t n = 0;

    assert_int_equal(verified_begin(*state, l.digest, l.stamp, 0, &w[0]), VERIFIED_YOURS);
    assert_int_equal(verified_begin(*state, l.digest, l.stamp, 0, &w[1]), VERIFIED_JOINED);
    assert_int_equal(verified_begin(*state, l.digest, l.stamp, 0, &w[2]), VERIFIED_JOINED);
    for (struct verified_waiter *at = verified_end(*state, l.digest, NULL, 0); at; at = at->next)
        n++;
    assert_int_equal(n, 3);
    assert_false(known(*state, &l, 0)); /* a failure is not remembered */
}

static void test_memory_is_bounded(void **state)
{
    struct login first = login_of(*state, "first", "p", "hash");
    char user[32];

    learn(*state, &first, 0);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(user, sizeof(user), "u%u", i);
        struct login l = login_of(*state, user, "p", "hash");
        learn(*state, &l, 1);
        assert_true(known(*state, &l, 1));
    }
    assert_false(known(*state, &first, 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_known_for_some_minutes), T(test_another_hash_is_not_known), T(test_name_and_password_are_told_apart),
        T(test_many_wait_for_one),      T(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
