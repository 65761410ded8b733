/* Work for a later moment: in its order, in spite of work that comes meanwhile; what is left at the end is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/workers.h"

#define MS ((int64_t)1000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int done[16], dropped[16];
static size_t done_len, dropped_len;
static int64_t done_us[16];

static void note(void *arg)
{
    LOCK_SCOPE(&lock);
    done_us[done_len] = clock_monotonic_us();
    done[done_len++] = *(int *)arg;
}

static void note_dropped(void *arg)
{
    LOCK_SCOPE(&lock);
    dropped[dropped_len++] = *(int *)arg;
}

static size_t count(void)
{
    LOCK_SCOPE(&lock);
    return done_len;
}

static void wait_for(size_t n)
{
    for (int i = 0; i < 2000 && count() < n; i++)
        usleep(10000);
    assert_int_equal(count(), n);
}

static int setup(void **state)
{
    done_len = dropped_len = 0;
    return 0;
}

static void in_order_of_their_moments(void **state)
{
    struct workers *w = workers_new("test", 1, &(struct workers_limits){.jobs = 8});
    int64_t now = clock_monotonic_us();
    int number[] = {0, 1, 2, 3};

    assert_int_equal(
        workers_submit_at(w, now + 2000 * MS, &(struct work){.fn = note, .arg = &number[2], .owner = "a"}, note_dropped),
        0);
    assert_int_equal(
        workers_submit_at(w, now + 1000 * MS, &(struct work){.fn = note, .arg = &number[1], .owner = "a"}, note_dropped),
        0);
    assert_int_equal(
        workers_submit_at(w, now + 2000 * MS, &(struct work){.fn = note, .arg = &number[3], .owner = "a"}, note_dropped),
        0);
    assert_int_equal(workers_submit(w, &(struct work){.fn = note, .arg = &number[0], .owner = "b"}), 0);
    wait_for(4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(done[i], i);
    assert_true(done_us[1] >= now + 1000 * MS && done_us[2] >= now + 2000 * MS && done_us[3] >= now + 2000 * MS);
    assert_true(done_us[0] < done_us[1]);
    workers_free(w);
    assert_int_equal(dropped_len, 0);
}

static void what_is_left_is_dropped(void **state)
{
    struct workers *w = workers_new("test", 2, &(struct workers_limits){.jobs = 8});
    int number[] = {0, 1};

    assert_int_equal(
        workers_submit_at(w, INT64_MAX, &(struct work){.fn = note, .arg = &number[1], .owner = "a"}, note_dropped), 0);
    assert_int_equal(workers_submit(w, &(struct work){.fn = note, .arg = &number[0], .owner = "b"}), 0);
    workers_free(w);
    assert_int_equal(done_len, 1);
    assert_int_equal(dropped_len, 1);
    assert_int_equal(dropped[0], 1);
}

static void ignore(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void not_more_than_a_thousand(void **state)
{
    struct workers *w = workers_new("test", 1, &(struct workers_limits){.jobs = 8});
    atomic_int n = 0;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(workers_submit_at(w, INT64_MAX, &(struct work){.fn = ignore, .arg = &n, .owner = "a"}, ignore),
                         0);
    assert_int_equal(workers_submit_at(w, INT64_MAX, &(struct work){.fn = ignore, .arg = &n, .owner = "a"}, ignore),
                     -1);
    workers_free(w);
    assert_int_equal(n, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(in_order_of_their_moments, setup),
        cmocka_unit_test_setup(what_is_left_is_dropped, setup),
        cmocka_unit_test_setup(not_more_than_a_thousand, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
