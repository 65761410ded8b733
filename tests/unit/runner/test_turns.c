/* Whose turn it is to be started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner/environment/turns.h"

static struct queue *queue;
static struct turns *turns;

static void with(unsigned at_once, unsigned seconds)
{
    queue = queue_new();
    turns = turns_new(at_once, seconds, queue);
}

static int end(void **state)
{
    turns_free(turns);
    queue_free(queue);
    return 0;
}

static void starts(const char *name)
{
    unsigned before;
    assert_true(turns_take(turns, name, &before));
}

static void waits(const char *name, unsigned before)
{
    unsigned n;
    assert_false(turns_take(turns, name, &n));
    assert_int_equal(n, before);
}

/* The next that the queue was told of. */
static void called(const char *name)
{
    const char *taken = queue_take(queue);
    assert_string_equal(taken, name);
    queue_done(queue, taken);
}

static void a_few_at_once_in_their_order(void **state)
{
    with(2, 60);
    starts("a");
    starts("b");
    waits("c", 2);
    waits("d", 3);
    waits("e", 4);
    starts("a"); /* still */
    turns_leave(turns, "b");
    called("c");
    waits("d", 2); /* c was called, and keeps its place until it has asked */
    starts("c");
    turns_leave(turns, "a");
    called("d");
    starts("d");
    waits("e", 2);
}

static void who_waits_no_more_is_passed_over(void **state)
{
    with(1, 60);
    starts("a");
    waits("b", 1);
    waits("c", 2);
    turns_leave(turns, "b");
    waits("c", 1);
    turns_leave(turns, "a");
    called("c");
    starts("c");
    turns_leave(turns, "nobody");
}

static void who_asks_no_more_loses_its_place(void **state)
{
    with(1, 60);
    starts("a");
    waits("b", 1);
    sleep(TURNS_ASK_MS / 1000 * 5 + 1);
    waits("c", 1);
    turns_leave(turns, "a");
    starts("c");
    waits("b", 1);
}

static void a_long_start_holds_nobody_up(void **state)
{
    with(1, 3);
    starts("a");
    waits("b", 1);
    sleep(3);
    starts("b");
    starts("a");
    waits("c", 1);
}

static void many_wait(void **state)
{
    char name[16];

    with(3, 60);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        if (i < 3)
            starts(name);
        else
            waits(name, i);
    }
    for (unsigned i = 0; i < 497; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        turns_leave(turns, name);
        snprintf(name, sizeof(name), "n%u", i + 3);
        called(name);
        starts(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_few_at_once_in_their_order, end),
        cmocka_unit_test_teardown(who_waits_no_more_is_passed_over, end),
        cmocka_unit_test_teardown(who_asks_no_more_loses_its_place, end),
        cmocka_unit_test_teardown(a_long_start_holds_nobody_up, end),
        cmocka_unit_test_teardown(many_wait, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
