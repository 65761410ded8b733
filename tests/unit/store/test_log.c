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

/* What one collection has less of is taken from its oldest; the others keep theirs, in between as before. */
static void one_that_has_a_limit_of_its_own(void **state)
{
    tracks[1].own_events = 5;
    for (int i = 0; i < 90; i++) {
        append(&tracks[i % 3 != 0], 100);
        log_trim_track(&l, &tracks[1], 100);
        assert_int_equal(trim(1000, UNLIMITED, 0), 0);
    }
    assert_int_equal(l.live, 35);
    assert_int_equal(l.bytes + l.gone_bytes, l.bytes / 35 * 90);
    assert_int_equal(tracks[1].start, 1083); /* 1084, 1085, then 1087, 1088, 1090 */
    assert_int_equal(read_all(&tracks[0], 1000, 7), 30);
    assert_int_equal(read_all(&tracks[1], 1083, 7), 5);
    assert_int_equal(l.start, 1000);
    /* By age, its newest too. */
    tracks[1].own_seconds = 10;
    log_trim_track(&l, &tracks[1], 110);
    assert_int_equal(tracks[1].n, 5);
    log_trim_track(&l, &tracks[1], 111);
    assert_int_equal(tracks[1].n, 0);
    assert_int_equal(tracks[1].start, 1090);
    assert_null(log_last(&l));
    assert_int_equal(read_all(&tracks[0], 1000, 7), 30);
    /* The rest of the limits counts what is still there. */
    assert_int_equal(trim(30, UNLIMITED, 0), 0);
    assert_int_equal(l.start, 1000);
    assert_int_equal(trim(29, UNLIMITED, 0), 0);
    assert_int_equal(l.start, 1001);
}

/* What went waits on the disk: as much of it is borne as of the others, and eight times as many. */
static void what_went_before_its_turn_is_bounded(void **state)
{
    tracks[1].own_events = 1;
    append(&tracks[0], 100);
    size_t one = l.bytes;
    for (int i = 0; i < 10; i++)
        append(&tracks[1], 200);
    log_trim_track(&l, &tracks[1], 200);
    assert_int_equal(l.gone_bytes, 9 * one);
    assert_int_equal(trim(100, 9 * one, 0), 0);
    assert_int_equal(l.start, 1000);
    assert_int_equal(trim(100, 9 * one - 1, 0), 200);
    assert_int_equal(l.start, 1002);
    assert_int_equal(l.gone_bytes, 8 * one);
    assert_int_equal(l.dropped_bytes, 2 * one);
    while (log_size(&l) < 16)
        append(&tracks[1], 300);
    log_trim_track(&l, &tracks[1], 300);
    trim(2, UNLIMITED, 0);
    assert_int_equal(log_size(&l), 16);
    append(&tracks[1], 300);
    log_trim_track(&l, &tracks[1], 300);
    trim(2, UNLIMITED, 0);
    assert_int_equal(log_size(&l), 16);
    assert_int_equal(l.live, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limits_are_exact),
        TEST(each_collection_reads_its_own),
        TEST(one_that_has_a_limit_of_its_own),
        TEST(what_went_before_its_turn_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
