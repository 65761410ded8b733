/* What a store does with a disk or a file that is not as it left it, and what kill -9 leaves. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/io.h"
#include "base/thread.h"
#include "unit/store/fixture.h"

static char *refusal(const struct fixture *f)
{
    struct error *err = NULL;

    assert_null(store_open(&f->options, &err));
    char *message = xstrdup(err->message);
    error_free(err);
    return message;
}

static void check_refusal(struct fixture *f, const char *expected)
{
    _cleanup_free_ char *message = refusal(f);
    if (strstr(message, expected) == NULL)
        fail_msg("no '%s' in: %s", expected, message);
}

/* Whatever is written, and however long: the WAL is copied back again and again. */
static void test_wal_is_bounded(void **state)
{
    struct fixture f = {.options = {.no_sync = true, .log_max_events = 100}};
    static char text[500001];
    struct stat st;

    memset(text, 'x', sizeof(text) - 1);
    fixture_open(&f);
    _cleanup_free_ char *wal = fixture_path(&f, "open-hydra.db-wal"), *db = fixture_path(&f, "open-hydra.db");
    for (int i = 0; i < 200; i++)
        put(f.store, "c", i % 2 ? "a" : "b", text);
    assert_int_equal(stat(wal, &st), 0);
    assert_true(st.st_size < 40 << 20);
    fixture_close(&f);
    /* A clean end leaves the database alone. */
    assert_false(path_exists(wal));
    assert_true(path_exists(db));
    fixture_cleanup(&f);
}

/* --- Files --- */

static void test_foreign(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    unlink(path);
    database_number(path, "CREATE TABLE theirs (x)");
    check_refusal(&f, "a database of another program: move it away");
    /* It was left as it was. */
    assert_int_equal(database_number(path, "SELECT count(*) FROM sqlite_master"), 1);
    unlink(path);
    database_number(path, "PRAGMA user_version = 7");
    check_refusal(&f, "another program");
    unlink(path);
    database_number(path, "PRAGMA application_id = -2");
    check_refusal(&f, "another program");
    assert_int_equal(
        write_file_atomic(path, STR("this is a letter, and long enough to be taken for nothing else\n"), 0600, NULL),
        0);
    check_refusal(&f, "is damaged (file is not a database)");
    unlink(path);
    fixture_cleanup(&f);
}

static void test_newer(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    database_number(path, "PRAGMA user_version = 1000");
    check_refusal(&f, "written by a newer version of this program (schema 1000");
    fixture_cleanup(&f);
}

/* A crash between making the file and its tables. */
static void test_half_made(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db"), *mark = fixture_path(&f, "open-hydra.begun");
    unlink(mark);
    assert_int_equal(truncate(path, 0), 0);
    fixture_reopen(&f);
    fixture_close(&f);
    unlink(mark);
    unlink(path);
    database_number(path, "PRAGMA journal_mode = WAL");
    fixture_reopen(&f);
    assert_int_equal(put(f.store, "c", "a", "1"), 1);
    fixture_cleanup(&f);
}

/* Where there was a database, an empty one is a mistake, until somebody says that it is none. */
static void test_lost(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db"), *anew = fixture_path(&f, "begin-anew");
    _cleanup_free_ char *mark = fixture_path(&f, "open-hydra.begun"), *saved = fixture_path(&f, "saved");
    assert_int_equal(rename(path, saved), 0);
    check_refusal(&f, "is missing or empty, and there was one");
    check_refusal(&f, anew);
    assert_int_equal(truncate(path, 0), 0);
    check_refusal(&f, "is missing or empty, and there was one");
    /* Put back, all is as it was. */
    assert_int_equal(rename(saved, path), 0);
    fixture_reopen(&f);
    expect(f.store, "c", "a", "1", 1);
    fixture_close(&f);
    unlink(path);
    assert_int_equal(write_file_atomic(anew, STR(""), 0600, NULL), 0);
    fixture_reopen(&f);
    assert_false(path_exists(anew));
    /* It counts once. */
    fixture_close(&f);
    unlink(path);
    check_refusal(&f, "is missing or empty, and there was one");
    unlink(mark);
    fixture_reopen(&f);
    fixture_cleanup(&f);
}

static void test_private(void **state)
{
    struct fixture f = {0};
    struct stat st;

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    static const char *const files[] = {"open-hydra.db", "open-hydra.db-wal", "open-hydra.lock"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = fixture_path(&f, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    fixture_cleanup(&f);
}

static void fill(struct store *s, int n)
{
    char name[16], text[2001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        put(s, "c", name, text);
    }
}

static void overwrite(const char *path, off_t at, size_t n)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    _cleanup_free_ char *junk = xmalloc(n);

    memset(junk, 0xa5, n);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, n, at), n);
}

/* Whichever page is damaged, the store says so, or opens with every object. */
static void test_damaged(void **state)
{
    struct fixture f = {.options.no_sync = true};
    size_t n, refused = 0;

    fixture_open(&f);
    fill(f.store, 150);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    char *good = read_file(path, 16 << 20, &n, NULL);
    assert_non_null(good);
    for (size_t page = 0; page < n / 4096; page++) {
        _cleanup_error_ struct error *err = NULL;
        assert_int_equal(write_file_atomic(path, (struct str){good, n}, 0600, NULL), 0);
        overwrite(path, (off_t)page * 4096, 200);
        struct store *s = store_open(&f.options, &err);
        if (s == NULL) {
            refused++;
            assert_non_null(strstr(err->message, "is damaged ("));
            assert_non_null(strstr(err->message, "backup"));
        } else {
            assert_int_equal(store_count(s, "c"), 150);
            store_close(s);
        }
    }
    assert_true(refused > n / 4096 / 2);
    /* Cut short. */
    assert_int_equal(write_file_atomic(path, (struct str){good, n}, 0600, NULL), 0);
    assert_int_equal(truncate(path, (off_t)(n / 2 / 4096 * 4096)), 0);
    check_refusal(&f, "is damaged (");
    free(good);
    fixture_cleanup(&f);
}

/* Every object can be read, and yet the pages do not hang together: found at the start, and not by a later write. */
static void test_torn_copy(void **state)
{
    static const unsigned char five[] = {0, 0, 0, 5};
    struct fixture f = {0};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    /* So many free pages as the header says there are not. */
    assert_int_equal(pwrite(fd, five, sizeof(five), 36), sizeof(five));
    close(fd);
    check_refusal(&f, "is damaged (");
    fixture_cleanup(&f);
}

static void test_contradiction(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    put(f.store, "c", "b", "2");
    put(f.store, "c", "c", "3");
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    /* A hole in the log costs the events before it, no object. */
    database_number(path, "DELETE FROM log WHERE revision = 2");
    fixture_reopen(&f);
    assert_int_equal(store_count(f.store, "c"), 3);
    struct event e;
    uint64_t reached;
    _cleanup_error_ struct error *err = NULL;
    assert_int_equal(store_events(f.store, "c", 1, &e, 1, &reached, &err), -1);
    assert_int_equal(err->reason, REASON_EXPIRED);
    assert_int_equal(store_events(f.store, "c", 2, &e, 1, &reached, &err), 1);
    event_release(&e);
    fixture_close(&f);
    database_number(path, "UPDATE meta SET value = 1");
    check_refusal(&f, "contradicts itself");
    fixture_cleanup(&f);
}

/* An index that lost an entry would be found out by a wrong write alone. The table of that shape is put over its pages,
 * so that a row can be taken from it. SQLite's own quick check finds it from 3.44 on, and says it in its words. */
static void test_index_lost_a_row(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    put(f.store, "c", "b", "2");
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    database_run(path,
                 "PRAGMA writable_schema = ON; INSERT INTO sqlite_master SELECT 'table', 'over', 'over', rootpage,"
                 "'CREATE TABLE over (c, n, i, PRIMARY KEY (c, n, i)) WITHOUT ROWID' FROM sqlite_master "
                 "WHERE name = 'sqlite_autoindex_objects_1'");
    database_run(path, "DELETE FROM over WHERE n = 'b'; PRAGMA writable_schema = ON;"
                       "DELETE FROM sqlite_master WHERE name = 'over'");
    check_refusal(&f, sqlite3_libversion_number() < 3044000 ? "its index does not match its objects" : " index ");
    fixture_cleanup(&f);
}

/* A write that fails for another reason than a full disk leaves no transaction open behind it. */
static void test_write_refused(void **state)
{
    struct fixture f = {0};
    struct change_args bad = {"c", "bad", "1", 0};
    _cleanup_error_ struct error *err = NULL;

    fixture_open(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    database_run(path, "CREATE TRIGGER no BEFORE INSERT ON objects WHEN NEW.name = 'bad' BEGIN "
                       "SELECT RAISE(FAIL, 'not this one'); END");
    assert_int_equal(store_run(f.store, put_fn, &bad, &err), -1);
    assert_int_equal(err->reason, REASON_SERVICE_UNAVAILABLE);
    assert_non_null(strstr(err->message, "not this one"));
    expect(f.store, "c", "bad", NULL, 0);
    assert_int_equal(put(f.store, "c", "good", "1"), 1);
    fixture_reopen(&f);
    expect(f.store, "c", "good", "1", 1);
    expect(f.store, "c", "bad", NULL, 0);
    fixture_cleanup(&f);
}

static void test_second_opener(void **state)
{
    struct fixture f = {0};

    fixture_open(&f);
    _cleanup_free_ char *expected = xasprintf("in use by another server (process %ld)", (long)getpid());
    check_refusal(&f, expected);
    pid_t child = fork();
    if (child == 0) {
        struct error *err = NULL;
        _exit(store_open(&f.options, &err) == NULL && strstr(err->message, expected) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    put(f.store, "c", "a", "1");
    fixture_reopen(&f);
    fixture_cleanup(&f);
}

static void test_missing_directory(void **state)
{
    struct fixture f = {.options.directory = "/nonexistent/directory"};
    check_refusal(&f, "No such file or directory");
}

/* --- Disk full --- */

/* A group that cannot be written fails as a whole: also what had failed or written nothing by itself. */
struct grouped {
    struct change_args change;
    pthread_mutex_t *lock;
    pthread_cond_t *changed;
    int *left;
    enum reason reason;
    char *large;
};

static int grouped_fn(struct store_txn *t, void *arg, struct error **err)
{
    struct grouped *g = arg;
    if (g->large == NULL)
        return error_set(err, REASON_CONFLICT, "no");
    return put_fn(t, &g->change, err);
}

static void grouped_done(void *arg, struct error *err)
{
    struct grouped *g = arg;
    LOCK_SCOPE(g->lock);
    g->reason = err ? err->reason : REASON_INTERNAL;
    error_free(err);
    if (--*g->left == 0)
        pthread_cond_signal(g->changed);
}

static void check_group_fails(struct store *s, char *large)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    struct grouped g[20];
    int left = ARRAY_SIZE(g);
    uint64_t before = store_revision(s);

    for (size_t i = 0; i < ARRAY_SIZE(g); i++)
        g[i] = (struct grouped){{"c", i % 2 ? "x" : "y", large, 0}, &lock, &changed, &left, 0, i % 5 ? large : NULL};
    for (size_t i = 0; i < ARRAY_SIZE(g); i++)
        store_submit(s, grouped_fn, &g[i], grouped_done);
    pthread_mutex_lock(&lock);
    while (left)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < ARRAY_SIZE(g); i++)
        assert_true(g[i].reason == REASON_INSUFFICIENT_STORAGE ||
                    (g[i].large == NULL && g[i].reason == REASON_CONFLICT));
    assert_int_equal(store_revision(s), before);
    expect(s, "c", "x", NULL, 0);
}

static void test_disk_full(void **state)
{
    struct fixture f = {0};
    char text[60001];
    _cleanup_error_ struct error *err = NULL;
    struct change_args c = {"c", "full", text, 0};

    snprintf(f.directory, sizeof(f.directory), "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    if (mount("store-test", f.directory, "tmpfs", 0, "size=2m") < 0) {
        rmdir(f.directory);
        print_message("skipped: mounting a small file system needs root\n");
        skip();
    }
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    fixture_reopen(&f);
    put(f.store, "c", "first", "1");
    _cleanup_free_ char *ballast = fixture_path(&f, "ballast");
    int fd = open(ballast, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, text, 16384) > 0)
        ;
    close(fd);

    uint64_t before = store_revision(f.store);
    assert_int_equal(store_run(f.store, put_fn, &c, &err), -1);
    assert_int_equal(err->reason, REASON_INSUFFICIENT_STORAGE);
    assert_non_null(strstr(err->message, "the disk of the database is full (0.0 MiB free"));
    /* Nothing of it was seen, reading goes on, and so does writing when there is space again. */
    assert_int_equal(store_revision(f.store), before);
    expect(f.store, "c", "full", NULL, 0);
    expect(f.store, "c", "first", "1", 1);
    check_group_fails(f.store, text);
    unlink(ballast);
    assert_int_equal(put(f.store, "c", "full", "2"), before + 1);
    fixture_reopen(&f);
    expect(f.store, "c", "full", "2", before + 1);
    expect(f.store, "c", "first", "1", 1);
    fixture_close(&f);
    assert_int_equal(umount(f.directory), 0);
    fixture_cleanup(&f);
}

/* --- kill -9 --- */

struct child_writer {
    struct store *store;
    int thread, report;
};

/* Writes a name to the pipe once the store has said that it is kept. */
static void *write_forever(void *arg)
{
    struct child_writer *w = arg;
    char name[32];

    for (int i = 0;; i++) {
        int n = snprintf(name, sizeof(name), "t%d-%d", w->thread, i);
        put(w->store, "c", name, name);
        memset(name + n, '\n', sizeof(name) - (size_t)n);
        if (write(w->report, name, 24) != 24)
            _exit(1);
    }
    return NULL;
}

static void child(const struct fixture *f, int report)
{
    struct child_writer w[4];
    pthread_t threads[4];
    struct store *s = store_open(&f->options, NULL);

    if (s == NULL)
        _exit(1);
    for (int i = 0; i < 4; i++) {
        w[i] = (struct child_writer){s, i, report};
        threads[i] = thread_start("child", write_forever, &w[i]);
    }
    pthread_join(threads[0], NULL);
    _exit(1);
}

static size_t check_acknowledged(struct store *s, const char *report, size_t n)
{
    size_t count = 0;

    for (size_t at = 0; at + 24 <= n; at += 24, count++) {
        struct str name = str_trim((struct str){report + at, 24});
        struct object *o = store_get(s, "c", name);
        if (o == NULL)
            fail_msg("%.*s was acknowledged and is gone", (int)name.n, name.p);
        object_unref(o);
    }
    return count;
}

static void test_kill(void **state)
{
    struct fixture f = {0};
    size_t all = 0;

    fixture_open(&f);
    fixture_close(&f);
    for (int round = 0; round < 12; round++) {
        int report[2];
        struct buffer acknowledged = BUFFER_MAX(64 << 20);
        char piece[4096];
        ssize_t n;

        assert_int_equal(pipe(report), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(report[0]);
            child(&f, report[1]);
        }
        close(report[1]);
        /* Killed in the middle of its writes: after some number of them, whatever it is doing then. */
        while (acknowledged.n < (size_t)(round * 997 + 24) && (n = read(report[0], piece, sizeof(piece))) > 0)
            buffer_append(&acknowledged, piece, (size_t)n);
        kill(pid, SIGKILL);
        while ((n = read(report[0], piece, sizeof(piece))) > 0)
            buffer_append(&acknowledged, piece, (size_t)n);
        waitpid(pid, NULL, 0);
        close(report[0]);

        fixture_reopen(&f);
        all += check_acknowledged(f.store, acknowledged.p, acknowledged.n);
        /* Revisions have no hole: one for each object, none twice. */
        uint64_t revision = store_revision(f.store);
        assert_true(store_count(f.store, "c") <= revision);
        assert_int_equal(put(f.store, "d", "probe", "x"), revision + 1);
        fixture_close(&f);
        buffer_free(&acknowledged);
    }
    assert_true(all > 100);
    fixture_cleanup(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign),        cmocka_unit_test(test_newer),
        cmocka_unit_test(test_half_made),      cmocka_unit_test(test_lost),
        cmocka_unit_test(test_private),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_contradiction),  cmocka_unit_test(test_torn_copy),
        cmocka_unit_test(test_second_opener),  cmocka_unit_test(test_missing_directory),
        cmocka_unit_test(test_wal_is_bounded), cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_kill),           cmocka_unit_test(test_index_lost_a_row),
        cmocka_unit_test(test_write_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
