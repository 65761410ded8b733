#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "server/accounts/familiar.h"

#define DAY ((int64_t)24 * 3600 * 1000000)
#define NOW (20000 * DAY)

static const struct familiar_account anna = {"uid-a", "hash-a"}, ben = {"uid-b", "hash-b"};
static struct familiar_keys keys, other_keys;
static struct arena *arena;

static int setup(void **state)
{
    static const unsigned char master[FAMILIAR_KEY_BYTES] = {1}, other[FAMILIAR_KEY_BYTES] = {2};

    familiar_keys_derive(&keys, master);
    familiar_keys_derive(&other_keys, other);
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(arena);
    return 0;
}

/* What a browser sends that had sent `held`. */
static const char *log_in(const char *held, const struct familiar_account *account)
{
    const char *set = familiar_cookie(arena, &keys, held, true, account, NOW);

    assert_true(starts_with(set, "__Host-Http-open-hydra-familiar="));
    assert_true(ends_with(set, "; Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict; Secure"));
    return arena_strndup(arena, set, strcspn(set, ";"));
}

static const char *find_at(const char *cookies, const struct familiar_account *account, int64_t now)
{
    return familiar_find(arena, &keys, cookies, true, account, now);
}

static const char *find(const char *cookies, const struct familiar_account *account)
{
    return find_at(cookies, account, NOW);
}

static void test_for_its_account_alone(void **state)
{
    const char *jar = log_in(NULL, &anna);
    const struct familiar_account reset = {"uid-a", "new-hash"};

    assert_non_null(find(jar, &anna));
    assert_null(find(jar, &ben));
    assert_null(find(jar, &reset));
    assert_null(find(NULL, &anna));
    assert_null(find("", &anna));
    assert_null(familiar_find(arena, &other_keys, jar, true, &anna, NOW));
    assert_null(familiar_find(arena, &keys, jar, false, &anna, NOW));
    assert_non_null(find(arena_printf(arena, "a=b; __Host-Http-open-hydra-familiar=x; %s; c=d", jar), &anna));
}

static void test_browsers_are_told_apart(void **state)
{
    const char *one = log_in(NULL, &anna), *two = log_in(NULL, &anna);
    assert_string_not_equal(find(one, &anna), find(two, &anna));
}

static void test_it_ends(void **state)
{
    const char *jar = log_in(NULL, &anna);
    assert_non_null(find_at(jar, &anna, NOW + 180 * DAY - 1000000));
    assert_null(find_at(jar, &anna, NOW + 180 * DAY));
}

static void test_the_last_eight(void **state)
{
    const char *jar = log_in(NULL, &anna);
    struct familiar_account others[8];

    jar = log_in(log_in(jar, &ben), &ben); /* again: not twice */
    for (size_t i = 0; i < 6; i++) {
        others[i] = (struct familiar_account){arena_printf(arena, "uid-%zu", i), "h"};
        jar = log_in(jar, &others[i]);
    }
    assert_non_null(find(jar, &anna));
    assert_non_null(find(jar, &ben));
    others[6] = (struct familiar_account){"uid-6", "h"};
    jar = log_in(jar, &others[6]);
    assert_null(find(jar, &anna)); /* the oldest */
    assert_non_null(find(jar, &ben));
    for (size_t i = 0; i < 7; i++)
        assert_non_null(find(jar, &others[i]));
    assert_int_equal(strlen(strchr(jar, '=') + 1), 8 * 48 + 7);
}

static void test_any_changed_bit_is_noticed(void **state)
{
    const char *jar = log_in(NULL, &anna), *value = strchr(jar, '=') + 1;
    size_t n;
    _cleanup_free_ char *raw = base64_decode(str_from(value), &n);

    assert_int_equal(n, 36);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        raw[bit / 8] ^= (char)(1 << (bit % 8));
        _cleanup_free_ char *changed = base64url_encode(raw, n);
        assert_null(find(arena_printf(arena, "__Host-Http-open-hydra-familiar=%s", changed), &anna));
        raw[bit / 8] ^= (char)(1 << (bit % 8));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_for_its_account_alone), T(test_browsers_are_told_apart),    T(test_it_ends),
        T(test_the_last_eight),        T(test_any_changed_bit_is_noticed),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
