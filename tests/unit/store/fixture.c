#include "unit/store/fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"

void fixture_reopen(struct fixture *f)
{
    _cleanup_error_ struct error *err = NULL;

    store_close(f->store);
    f->options.directory = f->directory;
    f->store = store_open(&f->options, &err);
    if (f->store == NULL)
        fail_msg("%s", err->message);
}

void fixture_close(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
}

void fixture_open(struct fixture *f)
{
    snprintf(f->directory, sizeof(f->directory), "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->store = NULL;
    fixture_reopen(f);
}

char *fixture_path(const struct fixture *f, const char *file)
{
    return xasprintf("%s/%s", f->directory, file);
}

void fixture_cleanup(struct fixture *f)
{
    static const char *const files[] = {"open-hydra.db",   "open-hydra.db-wal", "open-hydra.db-shm",
                                        "open-hydra.lock", "open-hydra.room",   "open-hydra.begun"};

    store_close(f->store);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = fixture_path(f, files[i]);
        unlink(path);
    }
    rmdir(f->directory);
}

int put_fn(struct store_txn *t, void *arg, struct error **err)
{
    struct change_args *c = arg;
    c->revision = txn_next_revision(t);
    _cleanup_free_ char *json = xasprintf("{\"v\":\"%s\",\"r\":%llu}", c->text, (unsigned long long)c->revision);
    _cleanup_free_ char *uid = xasprintf("uid-%s", c->name);
    txn_put(t, c->collection, c->name, uid, str_from(json));
    return 0;
}

int delete_fn(struct store_txn *t, void *arg, struct error **err)
{
    struct change_args *c = arg;
    if (txn_get(t, c->collection, str_from(c->name)) == NULL)
        return error_set(err, REASON_NOT_FOUND, "%s not found", c->name);
    c->revision = txn_next_revision(t);
    _cleanup_free_ char *json = xasprintf("{\"final\":true,\"r\":%llu}", (unsigned long long)c->revision);
    txn_delete(t, c->collection, c->name, str_from(json));
    return 0;
}

uint64_t put(struct store *s, const char *collection, const char *name, const char *text)
{
    struct change_args c = {collection, name, text, 0};
    assert_int_equal(store_run(s, put_fn, &c, NULL), 0);
    return c.revision;
}

uint64_t take_away(struct store *s, const char *collection, const char *name)
{
    struct change_args c = {collection, name, NULL, 0};
    assert_int_equal(store_run(s, delete_fn, &c, NULL), 0);
    return c.revision;
}

static bool add(void *arg, struct object *o)
{
    struct buffer *b = arg;
    buffer_printf(b, "%s=%s ", o->name, o->json.p);
    return true;
}

char *list(struct store *s, const char *collection)
{
    struct buffer b = BUFFER_MAX(1 << 20);
    store_list(s, collection, STR(""), add, &b);
    return buffer_steal(&b);
}

void expect(struct store *s, const char *collection, const char *name, const char *text, uint64_t revision)
{
    struct object *o = store_get(s, collection, str_from(name));

    if (text == NULL) {
        assert_null(o);
        return;
    }
    assert_non_null(o);
    _cleanup_free_ char *json = xasprintf("{\"v\":\"%s\",\"r\":%llu}", text, (unsigned long long)revision);
    _cleanup_free_ char *uid = xasprintf("uid-%s", name);
    assert_string_equal(o->json.p, json);
    assert_int_equal(o->json.n, strlen(json));
    assert_string_equal(o->name, name);
    assert_string_equal(o->uid, uid);
    assert_int_equal(o->revision, revision);
    object_unref(o);
}

void database_run(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

long long database_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    long long out = 0;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    if (sqlite3_step(q) == SQLITE_ROW)
        out = sqlite3_column_int64(q, 0);
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return out;
}
