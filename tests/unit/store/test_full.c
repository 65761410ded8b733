/* A full disk: what is refused, what goes on, who is told; and that nobody else gets the room that is kept. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "server/store/opened.h"
#include "support/small_disk.h"
#include "unit/store/fixture.h"

#define MEBI ((uint64_t)1 << 20)

/* A power cut cannot be had in a test: our own calls (SQLite's are its library's) are counted. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static unsigned synced;

int __wrap_fsync(int fd)
{
    synced++;
    return __real_fsync(fd);
}

static char *letters(size_t n)
{
    char *text = xmalloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

static void open_on(struct fixture *f, unsigned mebibytes)
{
    snprintf(f->directory, sizeof(f->directory), "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    if (!small_disk_mount(f->directory, mebibytes)) {
        rmdir(f->directory);
        print_message("skipped: mounting a small file system needs root\n");
        skip();
    }
    f->options = (struct store_options){.reserve_bytes = 4 * MEBI, .trim_milliseconds = 20};
    fixture_reopen(f);
}

static void close_on(struct fixture *f)
{
    fixture_close(f);
    small_disk_umount(f->directory);
    fixture_cleanup(f);
}

static uint64_t free_bytes(const struct fixture *f)
{
    struct statvfs st;
    assert_int_equal(statvfs(f->directory, &st), 0);
    return (uint64_t)st.f_bavail * st.f_frsize;
}

static uint64_t held(const struct fixture *f, const char *file)
{
    _cleanup_free_ char *path = fixture_path(f, file);
    struct stat st;
    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static void wait_for_writer(struct store *s, bool busy)
{
    while ((atomic_load(&s->state.busy_since_us) != 0) != busy)
        usleep(1000);
}

/* Room within the database as well, as the quiet after the start makes it: in one go, in the midst of which it is large
 * enough already. */
static void wait_for_room(struct fixture *f)
{
    int64_t until = clock_monotonic_us() + 60000000;

    put(f->store, "c", "quiet", "1");

    while (held(f, "open-hydra.db-wal") < 4 * MEBI || held(f, "open-hydra.db") < 3 * MEBI) {
        assert_true(clock_monotonic_us() < until);
        usleep(20000);
    }
    wait_for_writer(f->store, false);
}

static int essential_put(struct store_txn *t, void *arg, struct error **err)
{
    txn_essential(t);
    return put_fn(t, arg, err);
}

/* As a dry run is. */
static int abandoned_put(struct store_txn *t, void *arg, struct error **err)
{
    txn_abandon(t);
    return put_fn(t, arg, err);
}

/* Its last words are longer than it ever was. */
static int delete_at_length(struct store_txn *t, void *arg, struct error **err)
{
    const struct change_args *c = arg;

    txn_delete(t, c->collection, c->name, str_from(c->text));
    return 0;
}

static int put_secret(struct store_txn *t, void *arg, struct error **err)
{
    txn_secret_put(t, "session", str_from(arg), STR("a session"));
    return 0;
}

static void check_refused(struct store *s, store_fn *fn, struct change_args *c)
{
    struct error *err = NULL;
    uint64_t before = store_revision(s);

    assert_int_equal(store_run(s, fn, c, &err), -1);
    assert_int_equal(err->reason, REASON_INSUFFICIENT_STORAGE);
    assert_non_null(strstr(err->message, "(0.0 MiB free, 2.0 MiB wanted)"));
    error_free(err);
    assert_int_equal(store_revision(s), before);
}

static void check_full(struct store *s, char *text)
{
    _cleanup_free_ char *longer = letters(5000);
    struct change_args new = {"c", "new", "1", 0}, same = {"c", "old", "12345678901234567890", 0},
                       grown = {"c", "old", longer, 0}, status = {"c", "old", text, 0};

    check_refused(s, put_fn, &new);
    check_refused(s, put_fn, &grown);
    assert_int_equal(store_run(s, put_fn, &same, NULL), 0);
    assert_int_equal(store_run(s, essential_put, &status, NULL), 0);
    assert_int_equal(store_run(s, abandoned_put, &new, NULL), 0);
    assert_int_equal(store_run(s, put_secret, (char[]){"ann"}, NULL), 0);
    assert_int_equal(store_run(s, put_fn, &same, NULL), 0);
}

static void test_room_of_its_own(void **state)
{
    struct fixture f = {0};
    _cleanup_free_ char *text = letters(3000);
    _cleanup_free_ char *last_words = xasprintf("{\"v\":\"%s%s\"}", text, text);
    struct change_args status = {"c", "old", text, 0}, leaving = {"c", "n19", last_words, 0};
    char name[16];

    open_on(&f, 64);
    put(f.store, "c", "old", "1");
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        put(f.store, "c", name, text);
    }
    wait_for_room(&f);
    small_disk_fill(f.directory);
    assert_int_equal(free_bytes(&f), 0);
    /* Somebody takes at once whatever is given up. */
    for (int i = 0; i < 300; i++) {
        assert_int_equal(store_run(f.store, essential_put, &status, NULL), 0);
        small_disk_fill(f.directory);
    }
    check_full(f.store, text);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        take_away(f.store, "c", name);
        small_disk_fill(f.directory);
    }
    /* Started again, still full. */
    fixture_reopen(&f);
    small_disk_fill(f.directory);
    check_full(f.store, text);
    fixture_reopen(&f);
    small_disk_fill(f.directory);
    check_full(f.store, text);
    assert_int_equal(store_count(f.store, "c"), 12);
    assert_int_equal(store_run(f.store, delete_at_length, &leaving, NULL), 0);
    assert_int_equal(store_count(f.store, "c"), 11);
    small_disk_empty(f.directory);
    put(f.store, "c", "new", "1");
    fixture_reopen(&f);
    assert_int_equal(store_count(f.store, "c"), 12);
    _cleanup_free_ char *session = store_secret(f.store, "session", STR("ann"), NULL);
    assert_string_equal(session, "a session");
    close_on(&f);
}

/* A WAL of nothing but its name, while so much of the disk is free: whether it is given its room. */
static bool gets_room(const struct fixture *f, const struct room *r, uint64_t free)
{
    _cleanup_free_ char *wal = fixture_path(f, "open-hydra.db-wal"), *rest = fixture_path(f, "rest");
    _cleanup_close_ int fd = open(wal, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
                        filled = open(rest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_int_equal(posix_fallocate(filled, 0, (off_t)(free_bytes(f) - free)), 0);
    room_keep(r);
    bool got = held(f, "open-hydra.db-wal") >= r->reserve;
    unlink(wal);
    unlink(rest);
    return got;
}

/* Four MiB, and afterwards twice as much as there must be for others. */
static void test_room_is_not_the_last_of_others(void **state)
{
    struct fixture f = {.directory = "/tmp/store-test-XXXXXX"};
    struct room r;

    assert_non_null(mkdtemp(f.directory));
    if (!small_disk_mount(f.directory, 64)) {
        rmdir(f.directory);
        skip();
    }
    room_open(&r, f.directory, 4 * MEBI);
    assert_false(gets_room(&f, &r, 7 * MEBI));
    assert_true(gets_room(&f, &r, 9 * MEBI));
    room_close(&r);
    small_disk_umount(f.directory);
    rmdir(f.directory);
}

/* What may use that room comes to its end too: nothing of that write was seen, and so it is when there is room again. */
static void test_the_room_ends(void **state)
{
    struct fixture f = {0};
    _cleanup_free_ char *text = letters(60000);
    _cleanup_error_ struct error *err = NULL;
    char name[16];
    size_t n = 0;

    open_on(&f, 64);
    wait_for_room(&f);
    small_disk_fill(f.directory);
    for (; err == NULL && n < 1000; n++) {
        snprintf(name, sizeof(name), "n%zu", n);
        int ignored _unused_ = store_run(f.store, essential_put, &(struct change_args){"c", name, text, 0}, &err);
    }
    assert_non_null(err);
    assert_int_equal(err->reason, REASON_INSUFFICIENT_STORAGE);
    assert_non_null(strstr(err->message, "no space left on the device"));
    assert_int_equal(store_count(f.store, "c"), n); /* those before it, and "quiet" */
    expect(f.store, "c", name, NULL, 0);
    small_disk_empty(f.directory);
    uint64_t revision = put(f.store, "c", name, "1");
    fixture_reopen(&f);
    expect(f.store, "c", name, "1", revision);
    close_on(&f);
}

/* The room goes from one WAL to the next, under another name between; once there is room again it is made whole. */
static void test_room_is_put_aside(void **state)
{
    struct fixture f = {0};

    open_on(&f, 64);
    wait_for_room(&f);
    assert_int_equal(held(&f, "open-hydra.room"), 0);
    fixture_close(&f);
    assert_true(held(&f, "open-hydra.room") >= 4 * MEBI);
    assert_int_equal(held(&f, "open-hydra.db-wal"), 0);
    /* What it holds is nothing to a database that was put in the place of the last. */
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    database_run(path, "UPDATE objects SET json = '{\"v\":\"other\",\"r\":7}'; UPDATE objects SET revision = 7");
    database_run(path, "DELETE FROM log; UPDATE meta SET value = 7 WHERE key = 'revision'");
    synced = 0;
    fixture_reopen(&f);
    assert_int_equal(synced, 1); /* before it has the name of a WAL */
    expect(f.store, "c", "quiet", "other", 7);
    assert_true(held(&f, "open-hydra.db-wal") >= 4 * MEBI);
    assert_int_equal(held(&f, "open-hydra.room"), 0);
    fixture_close(&f);
    _cleanup_free_ char *room = fixture_path(&f, "open-hydra.room");
    unlink(room);
    fixture_reopen(&f);
    wait_for_room(&f);
    close_on(&f);
}

/* A WAL that was left by a kill is the database's; the other name of its room goes. */
static void test_room_after_a_kill(void **state)
{
    struct fixture f = {0};

    open_on(&f, 64);
    wait_for_room(&f);
    uint64_t last = put(f.store, "c", "a", "1");
    _cleanup_free_ char *copy = fixture_path(&f, "kept");
    assert_int_equal(mkdir(copy, 0700), 0);
    _cleanup_free_ char *command = xasprintf("cd %s && cp open-hydra.db open-hydra.db-wal kept/ && "
                                             "ln kept/open-hydra.db-wal kept/open-hydra.room",
                                             f.directory);
    assert_int_equal(system(command), 0);
    fixture_close(&f);
    _cleanup_free_ char *back = xasprintf("cd %s && rm open-hydra.* && mv kept/* . && rmdir kept", f.directory);
    assert_int_equal(system(back), 0);
    fixture_reopen(&f);
    expect(f.store, "c", "a", "1", last);
    assert_int_equal(held(&f, "open-hydra.room"), 0);
    close_on(&f);
}

/* --- Who is told -------------------------------------------------------------------------------------------------- */

static void check_health(struct store *s, int64_t later_us, const char *expected)
{
    struct error *err = NULL;
    int rc = store_health(s, clock_monotonic_us() + later_us, &err);

    if (expected == NULL) {
        assert_null(err);
        assert_int_equal(rc, 0);
        return;
    }
    assert_int_equal(rc, -1);
    if (strstr(err->message, expected) == NULL)
        fail_msg("no '%s' in: %s", expected, err->message);
    error_free(err);
}

static void test_health_of_a_full_disk(void **state)
{
    struct fixture f = {0};

    open_on(&f, 64);
    check_health(f.store, 0, NULL);
    _cleanup_free_ char *path = fixture_path(&f, "half");
    /* 2 MiB, a thirty-second part, is the limit. */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    wait_for_room(&f);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(free_bytes(&f) - 2 * MEBI - 65536)), 0);
    check_health(f.store, 0, NULL);
    put(f.store, "c", "new", "1");
    small_disk_fill(f.directory);
    check_health(f.store, 0, "disk of the database is full");
    close(fd);
    unlink(path);
    small_disk_empty(f.directory);
    check_health(f.store, 0, NULL);
    close_on(&f);
}

static struct backend_ops slow_ops;
static const struct backend_ops *real_ops;
static atomic_bool broken, hanging;

static int sick_commit(struct backend *b, const struct backend_batch *batch, struct error **err)
{
    while (atomic_load(&hanging))
        usleep(1000);
    if (atomic_load(&broken))
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "cannot write to the database: disk I/O error");
    return real_ops->commit(b, batch, err);
}

static int sick_probe(struct backend *b, uint64_t revision, struct error **err)
{
    if (atomic_load(&broken))
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "cannot write to the database: disk I/O error");
    return real_ops->probe(b, revision, err);
}

static void ignore(void *arg, struct error *err)
{
    error_free(err);
}

/* Between what it does by itself: an hour without a write is no write that takes an hour. */
static void wait_until_good_for_an_hour(struct store *s)
{
    int64_t until = clock_monotonic_us() + 60000000;

    while (store_health(s, clock_monotonic_us() + INT64_C(3600000000), NULL) < 0) {
        assert_true(clock_monotonic_us() < until);
        usleep(1000);
    }
}

static void test_health_of_the_writer(void **state)
{
    struct fixture f = {.options.no_sync = true};
    struct change_args c = {"c", "a", "1", 0};

    fixture_open(&f);
    real_ops = f.store->backend->ops;
    slow_ops = *real_ops;
    slow_ops.commit = sick_commit;
    slow_ops.probe = sick_probe;
    f.store->backend->ops = &slow_ops;
    put(f.store, "c", "a", "1");
    wait_until_good_for_an_hour(f.store);
    /* The last write failed: so it stays until something can be written, which is tried unasked. */
    atomic_store(&broken, true);
    assert_int_equal(store_run(f.store, put_fn, &c, NULL), -1);
    check_health(f.store, 0, "disk I/O error");
    usleep(1200000);
    check_health(f.store, 0, "disk I/O error");
    atomic_store(&broken, false);
    while (store_health(f.store, 0, NULL) < 0)
        usleep(10000);
    /* One that hangs is told after ten seconds. */
    atomic_store(&hanging, true);
    store_submit(f.store, put_fn, &c, ignore);
    wait_for_writer(f.store, true);
    check_health(f.store, 9 * INT64_C(1000000), NULL);
    check_health(f.store, 11 * INT64_C(1000000), "has taken 11 s so far");
    atomic_store(&hanging, false);
    put(f.store, "c", "a", "1");
    fixture_cleanup(&f);
}

/* One line a minute, with the number of the others. */
static void test_lines_are_few(void **state)
{
    struct store_state s = {0};
    struct error *err = NULL;
    char path[] = "/tmp/store-log-XXXXXX";
    int log = mkstemp(path), saved = dup(STDERR_FILENO);

    state_init(&s);
    error_set(&err, REASON_SERVICE_UNAVAILABLE, "it failed");
    dup2(log, STDERR_FILENO);
    for (int i = 0; i < 1000; i++)
        state_committed(&s, err, 1000000 + i);
    state_committed(&s, err, 60999999);
    state_committed(&s, err, 61000000);
    state_committed(&s, NULL, 61000001);
    state_committed(&s, NULL, 61000002);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(log);
    size_t n;
    _cleanup_free_ char *text = read_file(path, 65536, &n, NULL);
    unlink(path);
    char *second = strstr(text, "it failed\n");
    assert_non_null(second);
    assert_non_null(strstr(second + 1, "it failed (1000 more since)\n"));
    assert_non_null(strstr(second, "can be written to again\n"));
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, 3);
    error_free(err);
    state_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_is_not_the_last_of_others),
        cmocka_unit_test(test_room_of_its_own),
        cmocka_unit_test(test_the_room_ends),
        cmocka_unit_test(test_room_is_put_aside),
        cmocka_unit_test(test_room_after_a_kill),
        cmocka_unit_test(test_health_of_a_full_disk),
        cmocka_unit_test(test_health_of_the_writer),
        cmocka_unit_test(test_lines_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
