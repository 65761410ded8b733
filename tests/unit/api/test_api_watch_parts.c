/* What a watch is made of, without a connection: how long it lasts, and the present objects in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/api/watch_state.h"
#include "server/api/watch_time.h"
#include "unit/store/fixture.h"

static int64_t seconds(const char *asked, unsigned configured, uint32_t random)
{
    int64_t us;

    assert_int_equal(watch_duration(asked, configured, random, &us, NULL), 0);
    assert_int_equal(us % 1000000, 0);
    return us / 1000000;
}

static void test_how_long(void **state)
{
    assert_int_equal(seconds("1", 0, 7), 1);
    assert_int_equal(seconds("3599", 0, 7), 3599);
    assert_int_equal(seconds("3600", 0, 7), 3600);
    assert_int_equal(seconds("3601", 0, 7), 3600);
    assert_int_equal(seconds("86400", 0, 7), 3600);
    assert_int_equal(seconds("9223372036854775807", 0, 7), 3600);
    assert_int_equal(seconds(NULL, 0, 0), 1800);
    assert_int_equal(seconds("", 0, 1000), 1800);
    assert_int_equal(seconds("0", 0, 500), 2700);
    assert_int_equal(seconds("0", 10, 500), 15);
    assert_int_equal(WATCH_BOOKMARK_SECONDS, 60);
}

/* Many that begin together do not end together. */
static void test_ends_are_spread(void **state)
{
    int64_t a, b;

    assert_int_equal(watch_duration(NULL, 0, 1, &a, NULL), 0);
    assert_int_equal(watch_duration(NULL, 0, 2, &b, NULL), 0);
    assert_int_equal(b - a, 1800 * 1000);
    assert_int_equal(watch_duration(NULL, 0, UINT32_MAX, &a, NULL), 0);
    assert_true(a >= INT64_C(1800000000) && a < INT64_C(3600000000));
}

static void test_no_numbers(void **state)
{
    static const char *const wrong[] = {"-1", "soon", "1.5", "+5", " 5", "5s", "1e3", "0x10", "9223372036854775808"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        _cleanup_error_ struct error *err = NULL;
        int64_t us;
        assert_int_equal(watch_duration(wrong[i], 0, 0, &us, &err), -1);
        assert_int_equal(err->reason, REASON_BAD_REQUEST);
    }
}

#define PART 32 /* of watch_state.c */

static void name_of(char out[static 8], unsigned i)
{
    snprintf(out, 8, "o%03u", i);
}

/* Whether the change of object i is told now, to whom the first part (or the last) has been told. */
static bool passes(struct fixture *f, const struct watch_state *s, unsigned i)
{
    char name[8];
    struct event e;
    uint64_t reached;

    name_of(name, i);
    uint64_t revision = put(f->store, "things", name, "changed");
    assert_int_equal(store_events(f->store, "things", revision - 1, &e, 1, &reached, NULL), 1);
    bool told = watch_state_passes(s, &e);
    event_release(&e);
    return told;
}

static unsigned drain(struct watch_state *s)
{
    struct object *o;
    unsigned n = 0;

    for (; (o = watch_state_next(s)); n++)
        object_unref(o);
    return n;
}

/* What changes while the present objects are told: of those that have been told, to the very last of the part; not of
 * those that come, which are told as they are then. */
static void test_changes_between_parts(void **state)
{
    struct fixture f = {0};
    char name[8];
    uint64_t position = 0, first;

    fixture_open(&f);
    for (unsigned i = 0; i < 2 * PART + 5; i++) {
        name_of(name, i);
        put(f.store, "things", name, "new");
    }
    struct watch_state *s = watch_state_new();
    watch_state_load(s, f.store, "things", &position);
    first = position;
    assert_int_equal(drain(s), PART);
    assert_false(watch_state_is_last(s));
    assert_true(passes(&f, s, 0));
    assert_true(passes(&f, s, PART - 1));
    assert_false(passes(&f, s, PART));
    assert_false(passes(&f, s, 2 * PART));
    watch_state_load(s, f.store, "things", &position);
    assert_int_equal(position, first); /* the events since are still to be told */
    assert_int_equal(drain(s), PART);
    assert_true(passes(&f, s, PART - 1));
    assert_true(passes(&f, s, PART));
    assert_true(passes(&f, s, 2 * PART - 1));
    assert_false(passes(&f, s, 2 * PART));
    watch_state_load(s, f.store, "things", &position);
    assert_int_equal(drain(s), 5);
    assert_true(watch_state_is_last(s));
    assert_true(passes(&f, s, 2 * PART + 4));
    watch_state_free(s);
    fixture_cleanup(&f);
}

/* A part shows its objects as they are when it is loaded: what happened to them before is not told again. */
static void test_what_a_part_shows_already(void **state)
{
    struct fixture f = {0};
    char name[8];
    uint64_t position = 0, reached;
    struct event e;

    fixture_open(&f);
    for (unsigned i = 0; i < PART + 1; i++) {
        name_of(name, i);
        put(f.store, "things", name, "new");
    }
    struct watch_state *s = watch_state_new();
    watch_state_load(s, f.store, "things", &position);
    drain(s);
    name_of(name, PART);
    uint64_t revision = put(f.store, "things", name, "changed");
    watch_state_load(s, f.store, "things", &position);
    assert_int_equal(drain(s), 1);
    assert_int_equal(store_events(f.store, "things", revision - 1, &e, 1, &reached, NULL), 1);
    assert_false(watch_state_passes(s, &e));
    event_release(&e);
    assert_true(passes(&f, s, PART));
    watch_state_free(s);
    fixture_cleanup(&f);
}

/* The last of a part changes before the next one is loaded, and is told after. */
static void test_a_change_on_the_way(void **state)
{
    struct fixture f = {0};
    char name[8];
    uint64_t position = 0, reached;
    struct event e;

    fixture_open(&f);
    for (unsigned i = 0; i < PART + 1; i++) {
        name_of(name, i);
        put(f.store, "things", name, "new");
    }
    struct watch_state *s = watch_state_new();
    watch_state_load(s, f.store, "things", &position);
    drain(s);
    name_of(name, PART - 1);
    uint64_t revision = put(f.store, "things", name, "changed");
    watch_state_load(s, f.store, "things", &position);
    assert_int_equal(store_events(f.store, "things", revision - 1, &e, 1, &reached, NULL), 1);
    assert_true(watch_state_passes(s, &e));
    event_release(&e);
    watch_state_free(s);
    fixture_cleanup(&f);
}

/* Exactly one part: there is no other. */
static void test_a_full_part_is_the_last(void **state)
{
    struct fixture f = {0};
    char name[8];
    uint64_t position = 0;

    fixture_open(&f);
    for (unsigned i = 0; i < PART; i++) {
        name_of(name, i);
        put(f.store, "things", name, "new");
    }
    struct watch_state *s = watch_state_new();
    watch_state_load(s, f.store, "things", &position);
    assert_int_equal(drain(s), PART);
    assert_true(watch_state_is_last(s));
    watch_state_free(s);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_long),
        cmocka_unit_test(test_ends_are_spread),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_changes_between_parts),
        cmocka_unit_test(test_what_a_part_shows_already),
        cmocka_unit_test(test_a_change_on_the_way),
        cmocka_unit_test(test_a_full_part_is_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
