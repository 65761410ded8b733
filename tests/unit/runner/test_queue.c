#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/thread.h"
#include "runner/environment/queue.h"

static void take_is(struct queue *q, const char *name)
{
    assert_string_equal(queue_take(q), name);
}

static void test_once(void **state)
{
    struct queue *q = queue_new();

    queue_add(q, "a");
    queue_add(q, "b");
    queue_add(q, "a");
    take_is(q, "a");
    queue_done(q, "a");
    take_is(q, "b");
    queue_done(q, "b");
    queue_shut(q);
    assert_null(queue_take(q));
    queue_free(q);
}

static void test_again_while_working(void **state)
{
    struct queue *q = queue_new();

    queue_add(q, "a");
    take_is(q, "a");
    queue_add(q, "a");
    queue_add(q, "b");
    take_is(q, "b"); /* not "a": it is being worked on */
    queue_done(q, "b");
    queue_done(q, "a");
    take_is(q, "a");
    queue_done(q, "a");
    queue_free(q);
}

static void test_later(void **state)
{
    struct queue *q = queue_new();
    int64_t begin = clock_monotonic_us();

    queue_add_after(q, "late", 2000);
    queue_add_after(q, "soon", 1000); /* long after all of these lines */
    queue_add_after(q, "early", 3600000);
    queue_add(q, "early"); /* the earlier time wins */
    queue_add_after(q, "soon", 5000);
    take_is(q, "early");
    queue_done(q, "early");
    take_is(q, "soon");
    assert_true(clock_monotonic_us() - begin >= 1000000);
    queue_done(q, "soon");
    take_is(q, "late");
    assert_true(clock_monotonic_us() - begin >= 2000000);
    queue_add_after(q, "late", 10);
    queue_done(q, "late");
    take_is(q, "late");
    queue_done(q, "late");
    queue_shut(q);
    queue_free(q);
}

static void test_order_of_many(void **state)
{
    struct queue *q = queue_new();
    /* Between these each is due: the order is right however slowly they are put in. */
    int64_t from[200], until[200];
    char name[16];

    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "n%u", i * 7919 % 200);
        unsigned k = i * 7919 % 200, ms = k / 10;
        from[k] = clock_monotonic_us() + ms * 1000;
        queue_add_after(q, name, ms);
        until[k] = clock_monotonic_us() + ms * 1000;
    }
    int64_t last = 0;
    for (unsigned i = 0; i < 200; i++) {
        const char *taken = queue_take(q);
        unsigned long long n;
        assert_int_equal(str_to_u64(str_from(taken + 1), 1000, &n), 0);
        assert_true(until[n] >= last);
        last = from[n];
        queue_done(q, taken);
    }
    queue_free(q);
}

/* --- who sleeps is woken ---------------------------------------------------------------------------------------- */

struct sleeper {
    struct queue *q;
    atomic_bool about_to;
    char got[8];
};

static void *sleep_on(void *arg)
{
    struct sleeper *s = arg;

    atomic_store(&s->about_to, true);
    const char *name = queue_take(s->q);
    snprintf(s->got, sizeof(s->got), "%s", name ? name : "");
    if (name)
        queue_done(s->q, name);
    return NULL;
}

static pthread_t put_to_sleep(struct sleeper *s)
{
    pthread_t t = thread_start("sleeper", sleep_on, s);

    while (!atomic_load(&s->about_to))
        usleep(1000);
    usleep(100000);
    return t;
}

/* What comes again while it is worked on is for any worker, not for the one that is done with it alone. */
static void test_work_that_comes_back_wakes_another(void **state)
{
    struct sleeper s = {.q = queue_new()};

    queue_add(s.q, "a");
    take_is(s.q, "a");
    pthread_t t = put_to_sleep(&s);
    queue_add(s.q, "a");
    queue_done(s.q, "a");
    pthread_join(t, NULL);
    assert_string_equal(s.got, "a");
    queue_free(s.q);
}

static void test_what_becomes_earlier_wakes(void **state)
{
    struct sleeper s = {.q = queue_new()};

    queue_add_after(s.q, "a", 3600000);
    pthread_t t = put_to_sleep(&s);
    queue_add_after(s.q, "a", 20);
    pthread_join(t, NULL);
    assert_string_equal(s.got, "a");
    queue_free(s.q);
}

#define NAMES 5
struct crowd {
    struct queue *q;
    atomic_uint working[NAMES], done, clashes;
};

static void *worker(void *arg)
{
    struct crowd *c = arg;
    const char *name;

    while ((name = queue_take(c->q))) {
        size_t i = (size_t)(name[0] - 'a');
        if (atomic_fetch_add(&c->working[i], 1) != 0)
            atomic_fetch_add(&c->clashes, 1);
        atomic_fetch_add(&c->done, 1);
        atomic_fetch_sub(&c->working[i], 1);
        queue_done(c->q, name);
    }
    return NULL;
}

static void test_never_two_at_once(void **state)
{
    struct crowd c = {.q = queue_new()};
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        threads[i] = thread_start("worker", worker, &c);
    for (unsigned i = 0; i < 20000; i++) {
        const char name[] = {(char)('a' + i % NAMES), '\0'};
        if (i % 3)
            queue_add(c.q, name);
        else
            queue_add_after(c.q, name, i % 2);
    }
    while (atomic_load(&c.done) < NAMES)
        ;
    queue_shut(c.q);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.clashes), 0);
    queue_free(c.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_again_while_working),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_order_of_many),
        cmocka_unit_test(test_never_two_at_once),
        cmocka_unit_test(test_work_that_comes_back_wakes_another),
        cmocka_unit_test(test_what_becomes_earlier_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
