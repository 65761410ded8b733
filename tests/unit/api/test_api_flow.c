/* What one caller may have at a time, with the clock as an argument; and that the API asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/flow.h"
#include "unit/api/client.h"

#define S ((int64_t)1000000)
#define MIB ((uint64_t)1 << 20)

struct bound {
    enum flow_what what;
    unsigned again; /* in seconds */
    uint64_t of_one, of_all;
};
/* These are promised to users and operators (docs/architecture.md). */
static const struct bound users[] = {{FLOW_REQUESTS, 1, 32, 4096},
                                     {FLOW_WATCHES, 5, 64, 8192},
                                     {FLOW_LOGS, 5, 4, 48},
                                     {FLOW_BODIES, 1, 8 * MIB, 256 * MIB}};
static const struct bound strangers[] = {
    {FLOW_REQUESTS, 1, 64, 2048}, {FLOW_WATCHES, 5, 4, 64}, {FLOW_LOGS, 5, 1, 1}, {FLOW_BODIES, 1, 4 * MIB, 64 * MIB}};

static int take(struct flow *f, enum flow_what what, uint64_t n, struct flow_caller who, struct arena *a)
{
    return flow_take(f, what, n, &who, a, S, NULL);
}

/* Exactly the bound, and one more is refused; another caller is not concerned. */
static void check_one(struct flow *f, const struct bound *b, struct flow_caller who, struct flow_caller other)
{
    struct arena *a = arena_new(), *one = arena_new();
    struct error *err = NULL;

    assert_int_equal(take(f, b->what, b->of_one - 1, who, a), 0);
    assert_int_equal(take(f, b->what, 1, who, one), 0);
    assert_int_equal(flow_take(f, b->what, 1, &who, a, S, &err), -1);
    assert_int_equal(err->reason, REASON_TOO_MANY_REQUESTS);
    assert_int_equal(err->retry_after, b->again);
    error_free(err);
    assert_int_equal(take(f, b->what, b->of_one < b->of_all ? 1 : 0, other, a), 0);
    arena_free(one);
    assert_int_equal(take(f, b->what, 1, who, a), 0);
    assert_int_equal(take(f, b->what, 1, who, a), -1);
    arena_free(a);
}

static void test_one(void **state)
{
    struct flow *f = flow_new();

    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        check_one(f, &users[i], flow_user("u1"), flow_user("u2"));
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
        check_one(f, &strangers[i], flow_stranger("10.0.0.1"), flow_stranger("10.0.0.2"));
    flow_free(f);
}

/* What all of a rank may have together: fills up by many, then nobody of that rank gets more. */
static void check_all(struct flow *f, const struct bound *b, bool user)
{
    struct arena *a = arena_new();
    char name[32];
    uint64_t left = b->of_all;

    for (unsigned i = 0; left; i++) {
        uint64_t n = left < b->of_one ? left : b->of_one;
        snprintf(name, sizeof(name), "10.0.%u.%u", i / 250, i % 250);
        assert_int_equal(take(f, b->what, n, user ? flow_user(name) : flow_stranger(name), a), 0);
        left -= n;
    }
    assert_int_equal(take(f, b->what, 1, user ? flow_user("late") : flow_stranger("10.1.0.0"), a), -1);
    /* The other rank, and who has a share of their own, are served. */
    assert_int_equal(take(f, b->what, 1, user ? flow_stranger("10.1.0.0") : flow_user("late"), a), 0);
    assert_int_equal(take(f, b->what, 1 << 20, (struct flow_caller){.rank = FLOW_RESERVED}, a), 0);
    arena_free(a);
}

static void test_all(void **state)
{
    struct flow *f = flow_new();

    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        check_all(f, &users[i], true);
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
        check_all(f, &strangers[i], false);
    flow_free(f);
}

/* The kinds are counted apart. */
static void test_kinds_apart(void **state)
{
    struct flow *f = flow_new();
    struct arena *a = arena_new();

    assert_int_equal(take(f, FLOW_WATCHES, 64, flow_user("u"), a), 0);
    assert_int_equal(take(f, FLOW_REQUESTS, 1, flow_user("u"), a), 0);
    assert_int_equal(take(f, FLOW_LOGS, 4, flow_user("u"), a), 0);
    arena_free(a);
    flow_free(f);
}

static void test_addresses(void **state)
{
    assert_string_equal(flow_stranger("2001:db8:1:2:3:4:5:6").name, flow_stranger("2001:db8:1:2::9").name);
    assert_string_not_equal(flow_stranger("2001:db8:1:2::1").name, flow_stranger("2001:db8:1:3::1").name);
    assert_string_equal(flow_stranger("2001:db8:1:2:ff00::1").name, flow_stranger("2001:db8:1:2::1").name);
    assert_string_not_equal(flow_stranger("10.0.0.1").name, flow_stranger("10.0.0.2").name);
    assert_string_equal(flow_stranger("::ffff:10.0.0.1").name, "10.0.0.1");
    assert_string_equal(flow_stranger("").name, "");

    /* A uid that reads like an address is another caller. */
    struct flow *f = flow_new();
    struct arena *a = arena_new();
    assert_int_equal(take(f, FLOW_WATCHES, 4, flow_stranger("10.0.0.1"), a), 0);
    assert_int_equal(take(f, FLOW_WATCHES, 64, flow_user("10.0.0.1"), a), 0);
    arena_free(a);
    flow_free(f);
}

static int has_time(struct flow *f, struct flow_caller who, int64_t now, unsigned *after)
{
    struct error *err = NULL;
    int rc = flow_has_time(f, &who, now, &err);

    *after = err ? err->retry_after : 0;
    error_free(err);
    return rc;
}

static void test_time(void **state)
{
    struct flow *f = flow_new();
    struct flow_caller u = flow_user("u"), other = flow_user("o");
    unsigned after;

    flow_charge(f, &u, S / 2, 10 * S);
    assert_int_equal(has_time(f, u, 10 * S, &after), 0); /* half a second at once */
    flow_charge(f, &u, 1, 10 * S);
    assert_int_equal(has_time(f, u, 10 * S, &after), -1);
    assert_int_equal(after, 1);
    assert_int_equal(has_time(f, other, 10 * S, &after), 0);
    assert_int_equal(has_time(f, u, 10 * S + 3, &after), -1); /* a quarter of the time gives it back */
    assert_int_equal(has_time(f, u, 10 * S + 4, &after), 0);
    flow_charge(f, &u, S, 10 * S + 4);
    assert_int_equal(has_time(f, u, 10 * S + 4, &after), -1);
    assert_int_equal(after, 5);
    assert_int_equal(has_time(f, u, 14 * S + 3, &after), -1);
    assert_int_equal(has_time(f, u, 14 * S + 4, &after), 0);
    assert_int_equal(has_time(f, u, 100 * S, &after), 0);

    struct flow_caller admin = {.rank = FLOW_RESERVED};
    flow_charge(f, &admin, 100 * S, 100 * S);
    assert_int_equal(has_time(f, admin, 100 * S, &after), 0);
    flow_free(f);
}

static void test_entries_vanish(void **state)
{
    struct flow *f = flow_new();
    struct arena *a = arena_new(), *b = arena_new();
    struct flow_caller u = flow_user("u"), v = flow_user("v"), w = flow_user("w");

    assert_int_equal(take(f, FLOW_WATCHES, 1, u, a), 0);
    assert_int_equal(take(f, FLOW_LOGS, 1, u, b), 0);
    flow_charge(f, &v, 100, S);
    assert_int_equal(flow_entries(f), 2);
    arena_free(a);
    assert_int_equal(take(f, FLOW_WATCHES, 0, w, b), 0); /* u still reads a log; v's time is not forgiven yet */
    assert_int_equal(flow_entries(f), 3);
    arena_free(b);
    a = arena_new();
    assert_int_equal(flow_take(f, FLOW_WATCHES, 1, &w, a, 2 * S, NULL), 0);
    assert_int_equal(flow_entries(f), 1);
    arena_free(a);
    flow_free(f);
}

/* Addresses are cheap: many that used a little time must not fill the memory, nor is the busiest forgotten first. */
static void test_memory_is_bounded(void **state)
{
    struct flow *f = flow_new();
    struct flow_caller busy = flow_stranger("192.0.2.1");
    struct arena *a = arena_new();
    char name[32];
    unsigned after;

    flow_charge(f, &busy, S / 2, S);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "10.%u.%u.%u", i / 62500, i / 250 % 250, i % 250);
        struct flow_caller c = flow_stranger(name);
        flow_charge(f, &c, 1000, S);
        if (i % 1000 == 0)
            flow_charge(f, &busy, S / 10, S);
        assert_int_equal(flow_take(f, FLOW_REQUESTS, 0, &c, a, S, NULL), 0);
    }
    assert_int_equal(has_time(f, busy, S, &after), -1);
    arena_free(a);
    a = arena_new();
    assert_int_equal(flow_take(f, FLOW_REQUESTS, 1, &busy, a, S, NULL), 0);
    assert_true(flow_entries(f) <= 4097);
    arena_free(a);
    flow_free(f);
}

/* An answer may go out after everything else has ended. */
static void test_outlives_its_owner(void **state)
{
    struct flow *f = flow_new();
    struct arena *a = arena_new();

    assert_int_equal(take(f, FLOW_LOGS, 1, flow_user("u"), a), 0);
    flow_free(f);
    arena_free(a);
}

/* --- By the API --- */

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static void test_watches_of_a_user(void **state)
{
    struct watching *w[64];

    for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
        w[i] =
            watch_open(&f, &(struct call){.path = WIDGETS "?watch=1&allowWatchBookmarks=1", .user = "anna", .role = 2});
        yyjson_doc *line = watch_next(w[i]);
        assert_non_null(line);
        yyjson_doc_free(line);
    }
    struct answer *a = expect(429, CALL(&f, .path = WIDGETS "?watch=1", .user = "anna", .role = 2));
    assert_string_equal(answer_str(a, "reason"), "TooManyRequests");
    assert_true(answer_has(a, "too many watches: one user may have 64"));
    assert_true(answer_has_header(a, "Retry-After: 5"));
    /* Everything else is served: hers, another's, an administrator's. */
    expect(200, CALL(&f, .path = WIDGETS, .user = "anna", .role = 2));
    watch_free(watch_open(&f, &(struct call){.path = WIDGETS "?watch=1", .user = "ben", .role = 2}));
    watch_free(watch_open(&f, &(struct call){.path = WIDGETS "?watch=1"}));
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        watch_free(w[i]);
    /* Given back when they have ended. */
    struct answer *again;
    do
        again = CALL(&f, .path = WIDGETS "?watch=1&timeoutSeconds=1", .user = "anna", .role = 2);
    while (again->code == 429);
    assert_int_equal(again->code, 200);
}

static void test_time_of_a_user(void **state)
{
    struct flow_caller anna = flow_user("anna");

    flow_charge(f.flow, &anna, 100 * S, clock_monotonic_us());
    struct answer *a = expect(429, CALL(&f, .path = WIDGETS, .user = "anna", .role = 2));
    assert_true(answer_has(a, "too much of the server's time"));
    assert_true(answer_has_header(a, "Retry-After: "));
    expect(200, CALL(&f, .path = WIDGETS, .user = "ben", .role = 2));
    expect(200, CALL(&f, .path = WIDGETS));
}

/* A request costs what it took. */
static void test_requests_are_charged(void **state)
{
    assert_int_equal(flow_entries(f.flow), 0);
    expect(200, CALL(&f, .path = WIDGETS));
    assert_int_equal(flow_entries(f.flow), 0);
    expect(200, CALL(&f, .path = WIDGETS, .user = "anna", .role = 2));
    assert_int_equal(flow_entries(f.flow), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_kinds_apart),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_entries_vanish),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_outlives_its_owner),
        cmocka_unit_test_setup_teardown(test_watches_of_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_of_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_charged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
