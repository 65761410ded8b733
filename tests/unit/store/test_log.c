/* The events in memory, by themselves: limits to the letter, and what each collection reads of them. */
#include "server/store/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"

#define UNLIMITED SIZE_MAX

static struct event_log l;
static struct log_track tracks[2];

static int setup(void **state)
{
    log_init(&l, 1000);
    tracks[0] = tracks[1] = (struct log_track){0};
    return 0;
}

static int teardown(void **state)
{
    log_free(&l);
    free(tracks[0].revisions);
    free(tracks[1].revisions);
    return 0;
}

static void append(struct log_track *track, int64_t time_s)
{
    log_append(&l, track, EVENT_ADDED, object_new(l.end + 1, STR("n"), STR("u"), STR("{}")), NULL, time_s);
}

static int64_t trim(size_t events, size_t bytes, int64_t oldest_s)
{
    return log_trim(&l, &(struct log_limits){events, bytes, oldest_s});
}

static void limits_are_exact(void **state)
{
    for (int i = 1; i <= 4; i++)
        append(&tracks[0], 100 * i);
    size_t one = l.bytes / 4;

    assert_int_equal(trim(4, l.bytes, 100), 0);
    assert_int_equal(log_size(&l), 4);
    /* Too many, or too old: nobody is told. */
    assert_int_equal(trim(3, UNLIMITED, 0), 0);
    assert_int_equal(log_size(&l), 3);
    assert_int_equal(trim(UNLIMITED, UNLIMITED, 201), 0);
    assert_int_equal(log_size(&l), 2);
    /* Too large: when that was. */
    assert_int_equal(l.bytes, 2 * one);
    assert_int_equal(trim(UNLIMITED, 2 * one - 1, 0), 300);
    assert_int_equal(log_size(&l), 1);
    assert_int_equal(trim(UNLIMITED, 0, 0), 400);
    assert_int_equal(log_size(&l), 0);
    assert_int_equal(l.bytes, 0);
    assert_int_equal(l.dropped_bytes, 4 * one);
    assert_null(log_last(&l));
}

/* Reads all after a revision, so many at a time. */
static size_t read_all(const struct log_track *track, uint64_t after, size_t max)
{
    struct event e[16];
    uint64_t reached;
    size_t all = 0, n;

    for (; after < l.end; after = reached) {
        n = log_read(&l, track, after, e, max, &reached);
        assert_true(reached > after || n == 0);
        for (size_t i = 0; i < n; i++) {
            assert_true(e[i].revision > after && e[i].revision <= reached);
            assert_int_equal(e[i].object->revision, e[i].revision);
            event_release(&e[i]);
        }
        all += n;
    }
    return all;
}

static void each_collection_reads_its_own(void **state)
{
    for (int i = 0; i < 900; i++) {
        append(&tracks[i % 3 == 0], 1);
        trim(700, UNLIMITED, 0);
    }
    assert_int_equal(l.start, 1200);
    assert_int_equal(l.end, 1900);
    assert_int_equal(log_last(&l)->revision, 1900);
    for (size_t max = 1; max <= 16; max += 5) {
        assert_int_equal(read_all(&tracks[0], l.start, max) + read_all(&tracks[1], l.start, max), 700);
        assert_int_equal(read_all(&tracks[1], l.start, max), 233);
        assert_int_equal(read_all(&tracks[1], 1898, max), 0); /* 1898 was its last */
        assert_int_equal(read_all(&tracks[1], 1897, max), 1);
        assert_int_equal(read_all(NULL, l.start, max), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limits_are_exact),
        TEST(each_collection_reads_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
