/* Rows that hold no object as they should: set aside, said, and nobody else's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "server/store/damaged.h"
#include "unit/store/fixture.h"

static void damage(struct fixture *f, const char *sql)
{
    fixture_close(f);
    _cleanup_free_ char *path = fixture_path(f, "open-hydra.db");
    database_run(path, sql);
    fixture_reopen(f);
}

static int count(const struct fixture *f, const char *sql)
{
    _cleanup_free_ char *path = fixture_path(f, "open-hydra.db");
    return (int)database_number(path, sql);
}

static void check_list(struct fixture *f, const char *expected)
{
    _cleanup_free_ char *now = list(f->store, "c");
    assert_string_equal(now, expected);
}

static void check_damaged(struct fixture *f, const char *name, const char *why)
{
    _cleanup_free_ char *found = store_damaged(f->store, "c", str_from(name));

    if (why == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_non_null(strstr(found, why));
}

static void three(struct fixture *f)
{
    fixture_open(f);
    put(f->store, "c", "a", "1");
    put(f->store, "c", "b", "2");
    put(f->store, "d", "b", "3");
}

static int one_event(struct store *s, uint64_t after, struct event *e)
{
    uint64_t reached;
    return store_events(s, "c", after, e, 1, &reached, NULL);
}

static void test_cut_off(void **state)
{
    struct fixture f = {.options.no_sync = true};

    three(&f);
    damage(&f, "UPDATE objects SET json = substr(json, 1, 5) WHERE collection = 'c' AND name = 'b'");
    check_list(&f, "a={\"v\":\"1\",\"r\":1} ");
    expect(f.store, "c", "b", NULL, 0);
    check_damaged(&f, "b", "not JSON at byte");
    check_damaged(&f, "a", NULL);
    assert_int_equal(store_damaged_count(f.store, "c"), 1);
    assert_int_equal(store_damaged_count(f.store, "d"), 0);
    assert_int_equal(store_damaged_count(f.store, NULL), 1);
    /* It is still there after the next start, and everybody else writes. */
    assert_int_equal(put(f.store, "c", "a", "4"), 4);
    fixture_reopen(&f);
    check_damaged(&f, "b", "not JSON at byte");
    expect(f.store, "c", "a", "4", 4);
    expect(f.store, "d", "b", "3", 3);
    fixture_cleanup(&f);
}

static int look_and_delete(struct store_txn *t, void *arg, struct error **err)
{
    uint64_t *revision = arg;

    assert_null(txn_get(t, "c", STR("b")));
    assert_string_equal(txn_damaged(t, "c", STR("b")), "uid-b");
    assert_null(txn_damaged(t, "c", STR("a")));
    assert_null(txn_damaged(t, "d", STR("b")));
    *revision = txn_next_revision(t);
    txn_delete(t, "c", "b", STR("{\"final\":1}"));
    assert_null(txn_damaged(t, "c", STR("b")));
    return 0;
}

static int delete_and_fail(struct store_txn *t, void *arg, struct error **err)
{
    uint64_t revision;

    assert_int_equal(look_and_delete(t, &revision, err), 0);
    return error_set(err, REASON_CONFLICT, "no");
}

static void test_deleted(void **state)
{
    struct fixture f = {.options.no_sync = true};
    struct event e;
    uint64_t revision;

    three(&f);
    damage(&f, "UPDATE objects SET json = x'00' WHERE collection = 'c' AND name = 'b'");
    assert_int_equal(store_run(f.store, delete_and_fail, NULL, NULL), -1);
    check_damaged(&f, "b", "not JSON");
    assert_int_equal(store_run(f.store, look_and_delete, &revision, NULL), 0);
    check_damaged(&f, "b", NULL);
    assert_int_equal(one_event(f.store, revision - 1, &e), 1);
    assert_int_equal(e.type, EVENT_DELETED);
    assert_string_equal(e.object->uid, "uid-b");
    assert_string_equal(e.object->json.p, "{\"final\":1}");
    event_release(&e);
    assert_int_equal(count(&f, "SELECT count(*) FROM objects"), 2);
    fixture_reopen(&f);
    assert_int_equal(store_damaged_count(f.store, NULL), 0);
    put(f.store, "c", "b", "new");
    fixture_cleanup(&f);
}

/* Whoever writes over it has the name; nobody else's write of that group fails. */
static void test_written_over(void **state)
{
    struct fixture f = {.options.no_sync = true};

    three(&f);
    damage(&f, "UPDATE objects SET json = '' WHERE collection = 'c' AND name = 'b'");
    assert_int_equal(put(f.store, "c", "b", "new"), 4);
    check_damaged(&f, "b", NULL);
    assert_int_equal(count(&f, "SELECT count(*) FROM objects"), 3);
    fixture_reopen(&f);
    expect(f.store, "c", "b", "new", 4);
    fixture_cleanup(&f);
}

/* The name in the row is not what it was: the index still has it under the old one. */
static int check_name(void *arg, const char *collection, const struct object *o, struct error **err)
{
    _cleanup_free_ char *uid = xasprintf("uid-%s", o->name);

    assert_string_equal(arg, "argument");
    if (streq(collection, "c") || streq(collection, "d"))
        return streq(o->uid, uid) ? 0 : error_set(err, REASON_INTERNAL, "another name");
    return error_set(err, REASON_INTERNAL, "no such kind");
}

static void test_wrong_columns(void **state)
{
    static char argument[] = "argument";
    struct fixture f = {.options = {.no_sync = true, .check = check_name, .check_arg = argument}};
    char page[4096];
    size_t at = 0;

    three(&f);
    fixture_close(&f);
    _cleanup_free_ char *path = fixture_path(&f, "open-hydra.db");
    /* In the table's page alone: «cbuid-b» is collection, name and uid of its row. */
    database_run(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long number = 0; fread(page, 1, sizeof(page), file) == sizeof(page); number++) {
        char *found = memmem(page, sizeof(page), "cbuid-b\x02", 8);
        if (found == NULL)
            continue;
        at++;
        assert_int_equal(fseek(file, number * 4096 + (found - page) + 1, SEEK_SET), 0);
        assert_int_equal(fputc('x', file), 'x');
        assert_int_equal(fseek(file, (number + 1) * 4096, SEEK_SET), 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(at, 1);
    fixture_reopen(&f);
    check_list(&f, "a={\"v\":\"1\",\"r\":1} ");
    check_damaged(&f, "x", "another name");
    /* The old name is free, the wrong one can be deleted. */
    put(f.store, "c", "b", "new");
    struct change_args x = {"c", "x", NULL, 0};
    assert_int_equal(store_run(f.store, put_fn, &x, NULL), 0);
    take_away(f.store, "c", "x");
    assert_int_equal(count(&f, "SELECT count(*) FROM objects"), 3);
    fixture_reopen(&f);
    assert_int_equal(store_damaged_count(f.store, NULL), 0);
    damage(&f, "UPDATE objects SET collection = 'nothing' WHERE collection = 'd'");
    assert_int_equal(store_damaged_count(f.store, "nothing"), 1);
    assert_int_equal(store_damaged_count(f.store, NULL), 1);
    fixture_cleanup(&f);
}

/* The same; returns what the start said. The caller frees. */
static char *said_of_damage(struct fixture *f, const char *sql)
{
    char path[] = "/tmp/store-log-XXXXXX";
    int log = mkstemp(path), saved = dup(STDERR_FILENO);

    dup2(log, STDERR_FILENO);
    damage(f, sql);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(log);
    char *text = read_file(path, 65536, NULL, NULL);
    unlink(path);
    return text;
}

/* What was told of it cannot be told again: who has not heard it lists again, who has goes on. */
static void check_log_after(const char *sql)
{
    struct fixture f = {.options.no_sync = true};
    struct event e;
    uint64_t reached;
    struct error *err = NULL;

    fixture_open(&f);
    put(f.store, "c", "a", "1");
    put(f.store, "c", "a", "2");
    put(f.store, "c", "b", "3");
    take_away(f.store, "c", "b");
    put(f.store, "c", "b", "5");
    _cleanup_free_ char *said = said_of_damage(&f, sql);
    assert_non_null(strstr(said, "the log of events has a hole"));
    assert_int_equal(store_events(f.store, "c", 2, &e, 1, &reached, &err), -1);
    assert_int_equal(err->reason, REASON_EXPIRED);
    error_free(err);
    assert_int_equal(one_event(f.store, 4, &e), 1);
    assert_int_equal(e.revision, 5);
    event_release(&e);
    assert_int_equal(store_damaged_count(f.store, NULL), 0);
    expect(f.store, "c", "b", "5", 5);
    fixture_cleanup(&f);
}

static void test_damaged_events(void **state)
{
    check_log_after("UPDATE log SET json = '{' WHERE revision = 4");
    check_log_after("UPDATE log SET json = NULL WHERE revision = 4");
    check_log_after("UPDATE log SET type = 3 WHERE revision = 4");
    check_log_after("UPDATE log SET type = -1 WHERE revision = 4");
    check_log_after("UPDATE log SET revision = -9 WHERE revision = 4");
    check_log_after("UPDATE log SET revision = 0 WHERE revision = 4");
}

/* One name in two collections, and two of one collection: each is one of its own. */
static void test_the_list(void **state)
{
    struct damaged_list l = {0};

    damaged_add(&l, "c", "a", "u1", "why");
    damaged_add(&l, "d", "a", "u2", "why");
    damaged_add(&l, "c", "b", "u3", "why");
    assert_int_equal(damaged_count(&l, NULL), 3);
    assert_int_equal(damaged_count(&l, "c"), 2);
    assert_string_equal(damaged_find(&l, "d", STR("a"))->uid, "u2");
    assert_null(damaged_find(&l, "d", STR("b")));
    damaged_forget(&l, "c", "a");
    assert_null(damaged_find(&l, "c", STR("a")));
    assert_string_equal(damaged_find(&l, "d", STR("a"))->uid, "u2");
    assert_string_equal(damaged_find(&l, "c", STR("b"))->uid, "u3");
    damaged_forget(&l, "d", "b");
    assert_int_equal(damaged_count(&l, NULL), 2);
    damaged_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_off),        cmocka_unit_test(test_deleted),
        cmocka_unit_test(test_written_over),   cmocka_unit_test(test_wrong_columns),
        cmocka_unit_test(test_damaged_events), cmocka_unit_test(test_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
