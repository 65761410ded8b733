/* Threads with a queue in front: limits, turns, and nothing lost. */
#include "base/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"

/* One thread that is held until the test lets it go on; what ran is written down, one letter a piece. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, held;
    char ran[64];
    size_t n;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, "", 0};

static void hold(void *arg)
{
    LOCK_SCOPE(&gate.lock);
    gate.held = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void note(void *arg)
{
    LOCK_SCOPE(&gate.lock);
    gate.ran[gate.n++] = *(const char *)arg;
    gate.ran[gate.n] = '\0';
    pthread_cond_broadcast(&gate.changed);
}

static int submit(struct workers *w, const char *owner, const char *letter, size_t bytes, bool reserved)
{
    return workers_submit(w, &(struct work){note, (void *)(uintptr_t)letter, owner, reserved, bytes});
}

/* With one piece of the owner "holder" on the only thread. */
static struct workers *held(const struct workers_limits *limits)
{
    struct workers *w = workers_new("test", 1, limits);

    gate.open = gate.held = false;
    gate.n = 0;
    assert_int_equal(workers_submit(w, &(struct work){.fn = hold, .owner = "holder"}), 0);
    LOCK_SCOPE(&gate.lock);
    while (!gate.held)
        pthread_cond_wait(&gate.changed, &gate.lock);
    return w;
}

static void let_go(void)
{
    LOCK_SCOPE(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
}

static void wait_until_ran(size_t n)
{
    LOCK_SCOPE(&gate.lock);
    while (gate.n < n)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static void all_that_was_taken_is_finished(void **state)
{
    struct workers *w = held(&(struct workers_limits){0});

    for (int i = 0; i < 50; i++)
        assert_int_equal(submit(w, i % 2 ? "a" : "b", "x", 1000, false), 0);
    let_go();
    workers_free(w);
    assert_int_equal(gate.n, 50);
}

static void a_full_queue_refuses(void **state)
{
    /* What runs counts; the last quarter is for reserved work. */
    struct workers *w = held(&(struct workers_limits){.jobs = 8});

    for (int i = 0; i < 5; i++)
        assert_int_equal(submit(w, "a", "a", 0, false), 0);
    assert_int_equal(submit(w, "a", "x", 0, false), -1);
    assert_int_equal(submit(w, "b", "x", 0, false), -1);
    assert_int_equal(submit(w, "admin", "r", 0, true), 0);
    assert_int_equal(submit(w, "b", "x", 0, false), -1);
    assert_int_equal(submit(w, "admin", "r", 0, true), 0);
    assert_int_equal(submit(w, "admin", "x", 0, true), -1);
    let_go();
    workers_free(w);
    assert_string_equal(gate.ran, "araraaa");
}

static void bytes_are_counted(void **state)
{
    struct workers *w = held(&(struct workers_limits){.bytes = 400, .owner_bytes = 200});

    assert_int_equal(submit(w, "a", "x", 201, false), -1);
    assert_int_equal(submit(w, "a", "a", 200, false), 0);
    assert_int_equal(submit(w, "a", "x", 1, false), -1);
    assert_int_equal(submit(w, "b", "x", 101, false), -1);
    assert_int_equal(submit(w, "b", "b", 100, false), 0);
    assert_int_equal(submit(w, "c", "x", 1, false), -1);
    assert_int_equal(submit(w, "admin", "x", 101, true), -1);
    assert_int_equal(submit(w, "admin", "x", SIZE_MAX, true), -1);
    assert_int_equal(submit(w, "admin", "r", 100, true), 0);
    let_go();
    wait_until_ran(3);
    /* Given back with the last piece, which may end after it has been noted. */
    while (submit(w, "a", "a", 200, false) < 0)
        ;
    workers_free(w);
    assert_string_equal(gate.ran, "abra");
}

static void nobody_has_more_than_a_share(void **state)
{
    struct workers *w = held(&(struct workers_limits){.jobs = 100, .owner_jobs = 2});

    assert_int_equal(submit(w, "a", "a", 0, false), 0);
    assert_int_equal(submit(w, "a", "a", 0, false), 0);
    assert_int_equal(submit(w, "a", "x", 0, false), -1);
    assert_int_equal(submit(w, "b", "b", 0, false), 0);
    /* What runs counts as well. */
    assert_int_equal(submit(w, "holder", "h", 0, false), 0);
    assert_int_equal(submit(w, "holder", "x", 0, false), -1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(w, "admin", "r", 0, true), 0);
    let_go();
    workers_free(w);
    assert_int_equal(strlen(gate.ran), 7);
    assert_null(strchr(gate.ran, 'x'));
}

static void those_who_wait_take_turns(void **state)
{
    static const char *const order[] = {"a1", "a2", "a3", "b4", "b5", "c6"};
    struct workers *w = held(&(struct workers_limits){0});

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        char owner[] = {order[i][0], '\0'};
        assert_int_equal(submit(w, owner, order[i] + 1, 0, false), 0);
    }
    let_go();
    wait_until_ran(6);
    /* Who comes again comes last again. */
    assert_int_equal(submit(w, "a", "7", 0, false), 0);
    workers_free(w);
    assert_string_equal(gate.ran, "1462537");
}

/* A moment that has come is no right to go before others. */
static void what_was_put_off_takes_its_turn(void **state)
{
    struct workers *w = held(&(struct workers_limits){0});
    static const char letters[] = "abc";

    for (int i = 0; i < 3; i++) {
        const struct work late = {.fn = note, .arg = (void *)(uintptr_t)&letters[i], .owner = "a"};
        assert_int_equal(workers_submit_at(w, 0, &late, hold), 0);
    }
    assert_int_equal(submit(w, "b", "x", 0, false), 0);
    let_go();
    wait_until_ran(4);
    workers_free(w);
    assert_string_equal(gate.ran, "xabc");
}

static void nothing_is_taken_at_the_end(void **state)
{
    workers_free(NULL);
    workers_free(workers_new("test", 3, &(struct workers_limits){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_was_taken_is_finished),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(bytes_are_counted),
        cmocka_unit_test(nobody_has_more_than_a_share),
        cmocka_unit_test(those_who_wait_take_turns),
        cmocka_unit_test(what_was_put_off_takes_its_turn),
        cmocka_unit_test(nothing_is_taken_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
