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

/* Objects that are told in parts. */
struct telling {
    struct fixture f;
    struct watch_state *s;
    uint64_t position;
};

static uint64_t put_nth(struct telling *t, unsigned i, const char *value)
{
    char name[8];

    snprintf(name, sizeof(name), "o%03u", i);
    return put(t->f.store, "things", name, value);
}

static unsigned tell_part(struct telling *t)
{
    struct object *o;
    unsigned n = 0;

    watch_state_load(t->s, t->f.store, "things", &t->position);
    for (; (o = watch_state_next(t->s)); n++)
        object_unref(o);
    return n;
}

/* So many objects, of which the first part has been told. */
static struct telling first_part_of(unsigned n)
{
    struct telling t = {.s = watch_state_new()};

    fixture_open(&t.f);
    for (unsigned i = 0; i < n; i++)
        put_nth(&t, i, "new");
    assert_int_equal(tell_part(&t), PART);
    return t;
}

static void end_telling(struct telling *t)
{
    watch_state_free(t->s);
    fixture_cleanup(&t->f);
}

/* Whether what happened at that revision is told now. */
static bool passes(struct telling *t, uint64_t revision)
{
    struct event e;
    uint64_t reached;

    assert_int_equal(store_events(t->f.store, "things", revision - 1, &e, 1, &reached, NULL), 1);
    bool told = watch_state_passes(t->s, &e);
    event_release(&e);
    return told;
}

static bool passes_change_of(struct telling *t, unsigned i)
{
    return passes(t, put_nth(t, i, "changed"));
}

/* What changes while the present objects are told: of those that have been told, to the very last of the part; not of
 * those that come, which are told as they are then. */
static void test_changes_between_parts(void **state)
{
    struct telling t = first_part_of(2 * PART + 5);
    uint64_t first = t.position;

    assert_false(watch_state_is_last(t.s));
    assert_true(passes_change_of(&t, 0));
    assert_true(passes_change_of(&t, PART - 1));
    assert_false(passes_change_of(&t, PART));
    assert_false(passes_change_of(&t, 2 * PART));
    assert_int_equal(tell_part(&t), PART);
    assert_int_equal(t.position, first); /* the events since are still to be told */
    assert_true(passes_change_of(&t, PART - 1));
    assert_true(passes_change_of(&t, PART));
    assert_true(passes_change_of(&t, 2 * PART - 1));
    assert_false(passes_change_of(&t, 2 * PART));
    assert_int_equal(tell_part(&t), 5);
    assert_true(watch_state_is_last(t.s));
    assert_true(passes_change_of(&t, 2 * PART + 4));
    end_telling(&t);
}

/* A part shows its objects as they are when it is loaded: what happened to them before is not told again. */
static void test_what_a_part_shows_already(void **state)
{
    struct telling t = first_part_of(PART + 1);
    uint64_t revision = put_nth(&t, PART, "changed");

    assert_int_equal(tell_part(&t), 1);
    assert_false(passes(&t, revision));
    assert_true(passes_change_of(&t, PART));
    end_telling(&t);
}

/* The last of a part changes before the next one is loaded, and is told after. */
static void test_a_change_on_the_way(void **state)
{
    struct telling t = first_part_of(PART + 1);
    uint64_t revision = put_nth(&t, PART - 1, "changed");

    assert_int_equal(tell_part(&t), 1);
    assert_true(passes(&t, revision));
    end_telling(&t);
}

/* Exactly one part: there is no other. */
static void test_a_full_part_is_the_last(void **state)
{
    struct telling t = first_part_of(PART);

    assert_true(watch_state_is_last(t.s));
    end_telling(&t);
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
