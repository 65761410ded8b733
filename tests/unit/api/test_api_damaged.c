/* An object that cannot be read is nobody's matter but an administrator's, who can delete it. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "unit/api/client.h"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static void make(const char *name)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"owner\":\"x\",\"size\":3}}", name);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = body));
}

/* Behind the store's back, and read at the next start. */
static void damage(const char *what)
{
    _cleanup_free_ char *path = xasprintf("%s/open-hydra.db", f.database);
    _cleanup_free_ char *sql = xasprintf("UPDATE objects SET %s WHERE name = 'b'", what);
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    fixture_restart(&f);
}

static void check_others(void)
{
    struct answer *a = expect(200, CALL(&f, .path = WIDGETS));

    assert_true(answer_has(a, "\"name\":\"a\""));
    assert_true(answer_has(a, "\"name\":\"c\""));
    assert_false(answer_has(a, "\"name\":\"b\""));
    a = expect(200, CALL(&f, .path = "/metrics"));
    assert_true(answer_has(a, "open_hydra_store_damaged_objects{resource=\"widgets\"} 1\n"));
    a = expect(200, CALL(&f, .path = "/readyz?verbose"));
    assert_string_equal(a->body.p, "[+]ping ok\n[+]store ok, 1 damaged object set aside\nreadyz check passed\n");
}

static void check_named(const char *why)
{
    struct answer *a = expect(500, CALL(&f, .path = WIDGETS "/b"));

    assert_non_null(strstr(answer_str(a, "message"), "\"b\" is damaged and was set aside"));
    assert_non_null(strstr(answer_str(a, "message"), why));
    expect(500,
           CALL(&f, .method = "PATCH", .path = WIDGETS "/b", .body = "{}", .type = "application/merge-patch+json"));
    a = expect(409, CALL(&f, .method = "POST", .path = WIDGETS,
                         .body = "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"owner\":\"x\"}}"));
    assert_string_equal(answer_str(a, "reason"), "AlreadyExists");
    /* Whose it is cannot be known: not theirs. */
    expect(404, CALL(&f, .path = WIDGETS "/b", .user = "b", .role = 2));
    expect(404, CALL(&f, .method = "DELETE", .path = WIDGETS "/b", .user = "b", .role = 2));
}

static void set_aside_until_deleted(void **state)
{
    make("a");
    make("b");
    make("c");
    damage("json = substr(json, 1, 60)");
    check_others();
    check_named("not JSON at byte");
    fixture_restart(&f);
    check_others();
    expect(409, CALL(&f, .method = "DELETE", .path = WIDGETS "/b", .body = "{\"preconditions\":{\"uid\":\"other\"}}"));
    struct watching *w = watch_open(&f, &(struct call){.path = WIDGETS "?watch=true"});
    assert_string_equal(watch_next_text(w), "ADDED a");
    assert_string_equal(watch_next_text(w), "ADDED c");
    seen.removed = 0;
    struct answer *a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/b"));
    assert_string_equal(answer_str(a, "status"), "Success");
    assert_int_equal(seen.removed, 1);
    assert_string_equal(watch_next_text(w), "DELETED b");
    watch_free(w);
    expect(404, CALL(&f, .path = WIDGETS "/b"));
    make("b");
    fixture_restart(&f);
    expect(200, CALL(&f, .path = WIDGETS "/b"));
}

static void what_its_row_says(void **state)
{
    static const struct {
        const char *what, *why;
    } cases[] = {
        {"uid = 'x'", "metadata.uid"},
        {"revision = 1", "metadata.resourceVersion"},
        {"revision = revision + 1000000", "metadata.resourceVersion"},
        {"revision = -1", "metadata.resourceVersion"},
        {"json = '[]'", "metadata.name"},
        {"json = '{\"metadata\":{\"name\":\"a\"}}'", "metadata.name"},
    };

    make("a");
    make("c");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make("b");
        damage(cases[i].what);
        check_others();
        check_named(cases[i].why);
        expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/b"));
    }
}

/* An object of the greatest depth can still be read inside a list. */
static void depth(void **state)
{
    for (int levels = 50; levels < 64; levels++) {
        _cleanup_free_ char *open = xcalloc(1, 512), *close = xcalloc(1, 64);
        for (int i = 0; i < levels; i++) {
            strcat(open, "{\"a\":");
            strcat(close, "}");
        }
        _cleanup_free_ char *body =
            xasprintf("{\"metadata\":{\"name\":\"d%d\"},\"spec\":{\"free\":%s1%s}}", levels, open, close);
        struct answer *a = CALL(&f, .method = "POST", .path = WIDGETS, .body = body);
        assert_int_equal(a->code, levels <= 58 ? 201 : 400);
    }
    struct answer *a = expect(200, CALL(&f, .path = WIDGETS));
    _cleanup_json_ yyjson_doc *doc = json_parse((struct str){a->body.p, a->body.n}, NULL);
    assert_non_null(doc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(set_aside_until_deleted), TEST(what_its_row_says), TEST(depth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
