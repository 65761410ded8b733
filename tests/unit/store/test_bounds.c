/* What a store may keep, hold back and take at once; and that «acknowledged» means on the disk. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "server/store/opened.h"
#include "unit/store/fixture.h"

#define DEADLINE_US 60000000

/* SQLite's own, too: the program's symbol comes before the C library's. */
static atomic_uint syncs;
int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}
int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

static void wait_for(bool (*holds)(const struct fixture *f), const struct fixture *f, const char *what)
{
    int64_t until = clock_monotonic_us() + DEADLINE_US;

    while (!holds(f)) {
        if (clock_monotonic_us() > until)
            fail_msg("waited in vain: %s", what);
        usleep(10000);
    }
}

static char *letters(size_t n)
{
    char *text = xmalloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

static enum reason events_after(struct store *s, uint64_t revision, int *n)
{
    struct event e[64];
    uint64_t reached;
    struct error *err = NULL;

    *n = store_events(s, "c", revision, e, ARRAY_SIZE(e), &reached, &err);
    for (int i = 0; i < *n; i++)
        event_release(&e[i]);
    enum reason reason = err ? err->reason : REASON_INTERNAL;
    error_free(err);
    return reason;
}

/* --- The log ---------------------------------------------------------------------------------------------------- */

static void test_log_in_bytes(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .log_max_bytes = 1 << 20}};
    _cleanup_free_ char *text = letters(100000);
    uint64_t last = 0;
    int n;

    fixture_open(&f);
    /* What fits stays: both objects of a change count. */
    for (int i = 0; i < 5; i++)
        last = put(f.store, "c", "a", text);
    assert_int_equal(events_after(f.store, 0, &n), REASON_INTERNAL);
    assert_int_equal(n, 5);
    assert_in_range(store_log_size(f.store).bytes, 900000, 910000);
    for (int i = 0; i < 100; i++) {
        last = i % 2 ? put(f.store, "c", "b", text) : take_away(f.store, "c", i ? "b" : "a");
        assert_true(store_log_size(f.store).bytes <= 1 << 20);
    }
    /* Who fell behind is told, who did not goes on. */
    assert_int_equal(events_after(f.store, 5, &n), REASON_EXPIRED);
    events_after(f.store, last - 4, &n);
    assert_int_equal(n, 4);
    assert_int_equal(store_log_size(f.store).events, 10);
    fixture_cleanup(&f);
}

/* One object above the limit leaves no event, and takes nothing else with it. */
static void test_object_larger_than_log(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .log_max_bytes = 50000}};
    _cleanup_free_ char *text = letters(100000);
    int n;

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    uint64_t large = put(f.store, "c", "b", text);
    assert_int_equal(store_log_size(f.store).events, 0);
    assert_int_equal(store_log_size(f.store).bytes, 0);
    assert_int_equal(events_after(f.store, large - 1, &n), REASON_EXPIRED);
    put(f.store, "c", "a", "2");
    events_after(f.store, large, &n);
    assert_int_equal(n, 1);
    fixture_reopen(&f);
    expect(f.store, "c", "b", text, large);
    fixture_cleanup(&f);
}

/* The limit was lowered, or there was none: what is read at the start obeys it. */
static void test_log_in_bytes_at_start(void **state)
{
    struct fixture f = {.options = {.no_sync = true}};
    _cleanup_free_ char *text = letters(100000);
    int n;

    fixture_open(&f);
    for (int i = 0; i < 40; i++)
        put(f.store, "c", "a", text);
    assert_int_equal(store_log_size(f.store).events, 40);
    f.options.log_max_bytes = 1 << 20;
    fixture_reopen(&f);
    /* Read back, no event has its previous object. */
    assert_int_equal(store_log_size(f.store).events, 10);
    assert_int_equal(events_after(f.store, 29, &n), REASON_EXPIRED);
    events_after(f.store, 30, &n);
    assert_int_equal(n, 10);
    fixture_cleanup(&f);
}

static void expect_events_of_busy_and_quiet(struct store *s)
{
    struct event e[16];
    uint64_t reached;
    int n;

    assert_int_equal(events_after(s, 0, &n), REASON_INTERNAL);
    assert_int_equal(n, 2);
    assert_int_equal(store_events(s, "busy", 50, e, 16, &reached, NULL), -1);
    assert_int_equal(store_events(s, "busy", 96, e, 16, &reached, NULL), 5);
    for (int i = 0; i < 5; i++)
        event_release(&e[i]);
    assert_int_equal(store_log_size(s).events, 7);
}

/* A kind that is written all the time has less, and takes nothing from the others, also after a start. */
static void test_a_limit_of_its_own(void **state)
{
    const struct store_log_limit limit = {"busy", 5, 0};
    struct fixture f = {.options = {.no_sync = true, .log_limits = &limit, .log_limits_len = 1, .log_max_events = 50}};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    for (int i = 0; i < 100; i++)
        put(f.store, "busy", "a", "1");
    put(f.store, "c", "a", "2");
    expect_events_of_busy_and_quiet(f.store);
    fixture_reopen(&f);
    expect_events_of_busy_and_quiet(f.store);
    fixture_cleanup(&f);
}

/* Nor is more than that in memory for a moment. */
static void test_log_at_start_stays_small(void **state)
{
    struct fixture f = {.options.no_sync = true};

    fixture_open(&f);
    for (int i = 0; i < 1000; i++)
        put(f.store, "c", "a", "1");
    f.options.log_max_events = 10;
    fixture_reopen(&f);
    assert_int_equal(store_log_size(f.store).events, 10);
    assert_int_equal(f.store->cache.log.capacity, 256);
    fixture_cleanup(&f);
}

static bool log_is_empty(const struct fixture *f)
{
    return store_log_size(f->store).events == 0;
}

/* While nobody writes, too. */
static void test_old_events_go_in_the_quiet(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .log_max_age_seconds = 1, .trim_milliseconds = 50}};
    int n;

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    wait_for(log_is_empty, &f, "the event is too old");
    assert_int_equal(events_after(f.store, 0, &n), REASON_EXPIRED);
    fixture_cleanup(&f);
}

/* --- The disk --------------------------------------------------------------------------------------------------- */

static off_t database_size(const struct fixture *f)
{
    _cleanup_free_ char *path = fixture_path(f, "open-hydra.db");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static bool is_small(const struct fixture *f)
{
    return database_size(f) < 8 << 20;
}

static void test_database_shrinks(void **state)
{
    struct fixture f = {.options = {.log_max_bytes = 1 << 20, .trim_milliseconds = 50}};
    _cleanup_free_ char *text = letters(1000000);
    char name[8];

    fixture_open(&f);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        put(f.store, "c", name, text);
    }
    uint64_t kept = put(f.store, "c", "kept", "1");
    assert_true(database_size(&f) > 20 << 20);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        take_away(f.store, "c", name);
    }
    wait_for(is_small, &f, "the database is small again");
    expect(f.store, "c", "kept", "1", kept);
    fixture_reopen(&f);
    expect(f.store, "c", "kept", "1", kept);
    fixture_cleanup(&f);
}

/* A database from before: converted where that is cheap, else at a later start. */
static void test_old_database_is_converted(void **state)
{
    struct fixture f = {.options = {.no_sync = true}};

    fixture_open(&f);
    uint64_t revision = put(f.store, "c", "a", "1");
    put(f.store, "c", "b", "1");
    take_away(f.store, "c", "b");
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    assert_int_equal(database_number(path, "PRAGMA auto_vacuum"), 2);
    database_run(path, "PRAGMA auto_vacuum = NONE; VACUUM");
    assert_int_equal(database_number(path, "PRAGMA auto_vacuum"), 0);
    database_number(path, "UPDATE log SET json = zeroblob(70 << 20) WHERE revision = 3");
    fixture_reopen(&f);
    fixture_close(&f);
    assert_int_equal(database_number(path, "PRAGMA auto_vacuum"), 0);
    database_number(path, "UPDATE log SET json = '{}' WHERE revision = 3");
    fixture_reopen(&f);
    expect(f.store, "c", "a", "1", revision);
    assert_int_equal(put(f.store, "c", "c", "1"), revision + 3);
    fixture_close(&f);
    assert_int_equal(database_number(path, "PRAGMA auto_vacuum"), 2);
    fixture_cleanup(&f);
}

/* --- What one transaction, and one compaction, takes ------------------------------------------------------------- */

static struct counted {
    const struct backend_ops *real;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool held;
    size_t commits, largest_commit;
    size_t compactions;
    uint64_t largest_step, compacted;
    bool refuse_compaction;
} counted = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static int count_commit(struct backend *b, const struct backend_batch *batch, struct error **err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < batch->writes_len; i++)
        bytes += batch->writes[i].object->json.n;
    LOCK_SCOPE(&counted.lock);
    while (counted.held)
        pthread_cond_wait(&counted.opened, &counted.lock);
    counted.commits++;
    if (bytes > counted.largest_commit)
        counted.largest_commit = bytes;
    return counted.real->commit(b, batch, err);
}

static int count_compact(struct backend *b, uint64_t revision, uint64_t *reached, struct error **err)
{
    uint64_t before = *reached;
    LOCK_SCOPE(&counted.lock);

    counted.compactions++;
    if (counted.refuse_compaction)
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "no space left on the device");
    int rc = counted.real->compact(b, revision, reached, err);
    if (revision - before > counted.largest_step)
        counted.largest_step = revision - before;
    counted.compacted = *reached;
    return rc;
}

static void count_from_now(struct fixture *f)
{
    static struct backend_ops ops;

    counted.real = f->store->backend->ops;
    ops = *counted.real;
    ops.commit = count_commit;
    ops.compact = count_compact;
    f->store->backend->ops = &ops;
    counted.commits = counted.largest_commit = counted.compactions = 0;
    counted.largest_step = counted.compacted = 0;
    counted.held = counted.refuse_compaction = false;
}

static size_t compactions(void)
{
    LOCK_SCOPE(&counted.lock);
    return (size_t)counted.compactions;
}

static void refuse_compaction(void)
{
    LOCK_SCOPE(&counted.lock);
    counted.refuse_compaction = true;
}

static void hold(bool held)
{
    LOCK_SCOPE(&counted.lock);
    counted.held = held;
    pthread_cond_broadcast(&counted.opened);
}

static atomic_int left;

static void count_down(void *arg, struct error *err)
{
    assert_null(err);
    atomic_fetch_sub(&left, 1);
}

/* Large objects make small groups, small ones large groups. */
static void test_group_in_bytes(void **state)
{
    struct fixture f = {.options.no_sync = true};
    _cleanup_free_ char *text = letters(1 << 20);
    struct change_args first = {"c", "first", "1", 0}, large[20], small[400];

    fixture_open(&f);
    count_from_now(&f);
    hold(true);
    atomic_store(&left, 1 + (int)ARRAY_SIZE(large));
    store_submit(f.store, put_fn, &first, count_down);
    for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
        large[i] = (struct change_args){"c", i % 2 ? "a" : "b", text, 0};
        store_submit(f.store, put_fn, &large[i], count_down);
    }
    hold(false);
    while (atomic_load(&left))
        usleep(1000);
    assert_in_range(counted.largest_commit, 8 << 20, 10 << 20);
    assert_in_range(counted.commits, 3, 5);

    hold(true);
    counted.commits = 0;
    atomic_store(&left, (int)ARRAY_SIZE(small));
    for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
        small[i] = (struct change_args){"c", "a", "1", 0};
        store_submit(f.store, put_fn, &small[i], count_down);
    }
    hold(false);
    while (atomic_load(&left))
        usleep(1000);
    assert_in_range(counted.commits, 2, 4);
    fixture_cleanup(&f);
}

static int abandoned_put(struct store_txn *t, void *arg, struct error **err)
{
    txn_abandon(t);
    return put_fn(t, arg, err);
}

/* Large ones of which nothing is kept make no small groups. */
static void test_group_without_what_was_taken_back(void **state)
{
    struct fixture f = {.options.no_sync = true};
    _cleanup_free_ char *text = letters(1 << 20);
    struct change_args first = {"c", "first", "1", 0}, large[20], small[20];

    fixture_open(&f);
    count_from_now(&f);
    hold(true);
    atomic_store(&left, 1 + 2 * (int)ARRAY_SIZE(large));
    store_submit(f.store, put_fn, &first, count_down);
    for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
        large[i] = (struct change_args){"c", "a", text, 0};
        small[i] = (struct change_args){"c", "b", "1", 0};
        store_submit(f.store, abandoned_put, &large[i], count_down);
        store_submit(f.store, put_fn, &small[i], count_down);
    }
    hold(false);
    while (atomic_load(&left))
        usleep(1000);
    assert_in_range(counted.commits, 1, 2); /* the first may have gone alone */
    fixture_cleanup(&f);
}

static bool is_compacted(const struct fixture *f)
{
    LOCK_SCOPE(&counted.lock);
    return counted.compacted == f->store->cache.log.start;
}

static void lower_log_limit(struct fixture *f, size_t events)
{
    pthread_rwlock_wrlock(&f->store->cache.lock);
    f->store->log_max_events = events;
    pthread_rwlock_unlock(&f->store->cache.lock);
}

/* Much that has to go goes in steps, so that no writer waits for all of it; and soon, while nobody writes. */
static void test_compaction_in_steps(void **state)
{
    struct fixture f = {.options.no_sync = true};

    fixture_open(&f);
    for (int i = 0; i < 9000; i++)
        put(f.store, "c", i % 2 ? "a" : "b", "1");
    lower_log_limit(&f, 10);
    count_from_now(&f);
    put(f.store, "c", "a", "1");
    wait_for(is_compacted, &f, "old events are gone from the disk");
    assert_int_equal(counted.largest_step, 4096);
    assert_int_equal(compactions(), 3);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    assert_int_equal(database_number(path, "SELECT count(*) FROM log"), 10);
    fixture_cleanup(&f);
}

/* And few large ones in steps, as well. */
static void test_compaction_in_bytes(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .log_max_bytes = 256 << 20}};
    _cleanup_free_ char *text = letters(1 << 20);

    fixture_open(&f);
    for (int i = 0; i < 40; i++)
        put(f.store, "c", i % 2 ? "a" : "b", text);
    lower_log_limit(&f, 2);
    count_from_now(&f);
    put(f.store, "c", "a", "1");
    wait_for(is_compacted, &f, "old events are gone from the disk");
    assert_in_range(compactions(), 3, 4);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    assert_int_equal(database_number(path, "SELECT count(*) FROM log"), 2);
    fixture_cleanup(&f);
}

/* A compaction that fails is not tried again after each group. */
static void test_compaction_that_fails(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .trim_milliseconds = 10}};

    fixture_open(&f);
    for (int i = 0; i < 100; i++)
        put(f.store, "c", "a", "1");
    lower_log_limit(&f, 10);
    count_from_now(&f);
    refuse_compaction();
    for (int i = 0; i < 50; i++) {
        put(f.store, "c", "a", "1");
        usleep(2000);
    }
    while (compactions() == 0)
        usleep(1000);
    for (int i = 0; i < 2000; i++)
        put(f.store, "c", "a", "1");
    assert_int_equal(compactions(), 1);
    fixture_cleanup(&f);
}

/* --- Acknowledged means on the disk ------------------------------------------------------------------------------- */

static void test_each_commit_is_synced(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    for (int i = 0; i < 20; i++) {
        unsigned before = atomic_load(&syncs);
        put(f.store, "c", "a", "1");
        assert_true(atomic_load(&syncs) > before);
    }
    fixture_cleanup(&f);
    /* The count counts: a store that does not sync has none. */
    f = (struct fixture){.options.no_sync = true};
    fixture_open(&f);
    put(f.store, "c", "a", "1");
    unsigned before = atomic_load(&syncs);
    put(f.store, "c", "a", "1");
    assert_int_equal(atomic_load(&syncs), before);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_in_bytes),
        cmocka_unit_test(test_object_larger_than_log),
        cmocka_unit_test(test_log_in_bytes_at_start),
        cmocka_unit_test(test_a_limit_of_its_own),
        cmocka_unit_test(test_log_at_start_stays_small),
        cmocka_unit_test(test_old_events_go_in_the_quiet),
        cmocka_unit_test(test_database_shrinks),
        cmocka_unit_test(test_old_database_is_converted),
        cmocka_unit_test(test_group_in_bytes),
        cmocka_unit_test(test_group_without_what_was_taken_back),
        cmocka_unit_test(test_compaction_in_steps),
        cmocka_unit_test(test_compaction_in_bytes),
        cmocka_unit_test(test_compaction_that_fails),
        cmocka_unit_test(test_each_commit_is_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
