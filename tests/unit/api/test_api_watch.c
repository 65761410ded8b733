/* watch: from the present state, from a revision, filtered, in tables, with bookmarks, to the end. */
#include <setjmp.h>
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
    f = (struct fixture){.log_max_events = 60};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static struct watching *open_watch(const char *query)
{
    _cleanup_free_ char *path = xasprintf(WIDGETS "?watch=true%s", query);
    return watch_open(&f, &(struct call){.path = path});
}

static void make(const char *name, const char *label)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\",\"labels\":{\"l\":\"%s\"}},\"spec\":{}}", name, label);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = body));
}

static struct answer *patch(const char *name, const char *body)
{
    _cleanup_free_ char *path = xasprintf(WIDGETS "/%s", name);
    return expect(200, CALL(&f, .method = "PATCH", .path = path, .body = body, .type = "application/merge-patch+json"));
}

static void delete (const char *name)
{
    _cleanup_free_ char *path = xasprintf(WIDGETS "/%s", name);
    expect(200, CALL(&f, .method = "DELETE", .path = path));
}

static void present_then_events(void **state)
{
    make("a", "x");
    make("b", "x");
    struct watching *w = open_watch("");
    assert_string_equal(watch_next_text(w), "ADDED a");
    assert_string_equal(watch_next_text(w), "ADDED b");
    make("c", "x");
    assert_string_equal(watch_next_text(w), "ADDED c");
    patch("a", "{\"spec\":{\"size\":9}}");
    patch("a", "{\"spec\":{\"size\":9}}"); /* no change: nobody is told */
    delete ("b");
    assert_string_equal(watch_next_text(w), "MODIFIED a");
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    assert_string_equal(json_str_at(yyjson_doc_get_root(doc), "type"), "DELETED");
    _cleanup_free_ char *revision = xasprintf("%llu", (unsigned long long)store_revision(f.store));
    assert_string_equal(json_str_at(yyjson_doc_get_root(doc), "object.metadata.resourceVersion"), revision);
    watch_free(w);
}

static void resumes(void **state)
{
    make("a", "x");
    uint64_t then = store_revision(f.store);
    make("b", "x");
    patch("a", "{\"spec\":{\"size\":9}}");
    _cleanup_free_ char *query = xasprintf("&resourceVersion=%llu", (unsigned long long)then);
    struct watching *w = open_watch(query);
    assert_string_equal(watch_next_text(w), "ADDED b");
    assert_string_equal(watch_next_text(w), "MODIFIED a");
    watch_free(w);
    /* Over a restart of the server, too. */
    fixture_restart(&f);
    w = open_watch(query);
    assert_string_equal(watch_next_text(w), "ADDED b");
    assert_string_equal(watch_next_text(w), "MODIFIED a");
    watch_free(w);
}

static void too_old_and_too_new(void **state)
{
    make("a", "x");
    for (int i = 0; i < 150; i++) {
        _cleanup_free_ char *body = xasprintf("{\"spec\":{\"size\":%d}}", i % 50 + 10);
        patch("a", body);
    }
    struct watching *w = open_watch("&resourceVersion=1");
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "ERROR");
    assert_string_equal(json_str_at(root, "object.kind"), "Status");
    assert_string_equal(json_str_at(root, "object.reason"), "Expired");
    assert_int_equal(json_int_at(root, "object.code", 0), 410);
    assert_string_equal(watch_next_text(w), "END");
    watch_free(w);
    expect(504, CALL(&f, .path = WIDGETS "?watch=1&resourceVersion=1000000"));
}

static void many_present_objects(void **state)
{
    char name[16], expected[32];

    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "w%03d", i);
        make(name, i % 2 ? "odd" : "even");
    }
    struct watching *w = open_watch("");
    for (int i = 0; i < 100; i++) {
        snprintf(expected, sizeof(expected), "ADDED w%03d", i);
        assert_string_equal(watch_next_text(w), expected);
    }
    make("z", "x");
    assert_string_equal(watch_next_text(w), "ADDED z");
    watch_free(w);
    w = open_watch("&labelSelector=l%3Dodd");
    for (int i = 1; i < 100; i += 2) {
        snprintf(expected, sizeof(expected), "ADDED w%03d", i);
        assert_string_equal(watch_next_text(w), expected);
    }
    watch_free(w);
}

static void objects_begin_and_cease_to_match(void **state)
{
    struct watching *w = open_watch("&labelSelector=l%3Dx");

    make("a", "y");
    make("b", "x");
    assert_string_equal(watch_next_text(w), "ADDED b");
    patch("a", "{\"metadata\":{\"labels\":{\"l\":\"x\"}}}");
    assert_string_equal(watch_next_text(w), "ADDED a");
    patch("a", "{\"spec\":{\"size\":9}}");
    assert_string_equal(watch_next_text(w), "MODIFIED a");
    patch("a", "{\"metadata\":{\"labels\":{\"l\":\"y\"}}}");
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "DELETED");
    assert_string_equal(json_str_at(root, "object.metadata.labels.l"), "x");
    _cleanup_free_ char *revision = xasprintf("%llu", (unsigned long long)store_revision(f.store));
    assert_string_equal(json_str_at(root, "object.metadata.resourceVersion"), revision);
    patch("a", "{\"spec\":{\"size\":10}}");
    delete ("a");
    delete ("b");
    assert_string_equal(watch_next_text(w), "DELETED b");
    watch_free(w);
}

static void one_name(void **state)
{
    make("a", "x");
    make("b", "x");
    struct watching *w = open_watch("&fieldSelector=metadata.name%3Db");
    assert_string_equal(watch_next_text(w), "ADDED b");
    patch("a", "{\"spec\":{\"size\":9}}");
    patch("b", "{\"spec\":{\"size\":9}}");
    assert_string_equal(watch_next_text(w), "MODIFIED b");
    watch_free(w);
}

static void streaming_list(void **state)
{
    make("a", "x");
    uint64_t now = store_revision(f.store);
    struct watching *w =
        open_watch("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    assert_string_equal(watch_next_text(w), "ADDED a");
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "BOOKMARK");
    assert_string_equal(json_str_at(root, "object.kind"), "Widget");
    assert_string_equal(
        yyjson_get_str(yyjson_obj_get(json_at(root, "object.metadata.annotations"), "k8s.io/initial-events-end")),
        "true");
    assert_int_equal(strtoull(json_str_at(root, "object.metadata.resourceVersion"), NULL, 10), now);
    make("b", "x");
    assert_string_equal(watch_next_text(w), "ADDED b");
    watch_free(w);
    w = open_watch("&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
    make("c", "x");
    assert_string_equal(watch_next_text(w), "ADDED c");
    watch_free(w);
    /* Who takes no bookmarks is told no end. */
    w = open_watch("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    for (const char *next = watch_next_text(w); !streq(next, "ADDED c"); next = watch_next_text(w))
        assert_true(starts_with(next, "ADDED "));
    make("d", "x");
    assert_string_equal(watch_next_text(w), "ADDED d");
    watch_free(w);
    expect(400, CALL(&f, .path = WIDGETS "?watch=1&sendInitialEvents=true"));
    expect(400, CALL(&f, .path = WIDGETS "?watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan"));
}

static void a_silent_watch_says_at_once_that_it_is_there(void **state)
{
    char query[128];

    make("a", "x");
    uint64_t now = store_revision(f.store);
    snprintf(query, sizeof(query), "&allowWatchBookmarks=true&resourceVersion=%llu", (unsigned long long)now);
    struct watching *w = open_watch(query);
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "BOOKMARK");
    assert_int_equal(strtoull(json_str_at(root, "object.metadata.resourceVersion"), NULL, 10), now);
    make("b", "x");
    assert_string_equal(watch_next_text(w), "ADDED b");
    watch_free(w);
}

static void ends_in_time_with_a_bookmark(void **state)
{
    make("a", "x");
    struct watching *w = open_watch("&allowWatchBookmarks=true&timeoutSeconds=1");
    assert_string_equal(watch_next_text(w), "ADDED a");
    assert_string_equal(watch_next_text(w), "BOOKMARK ");
    make("b", "x");
    assert_string_equal(watch_next_text(w), "ADDED b");
    assert_string_equal(watch_next_text(w), "BOOKMARK ");
    assert_string_equal(watch_next_text(w), "END");
    watch_free(w);
    w = open_watch("&timeoutSeconds=1&resourceVersion=0");
    assert_string_equal(watch_next_text(w), "ADDED a");
    assert_string_equal(watch_next_text(w), "ADDED b");
    assert_string_equal(watch_next_text(w), "END");
    watch_free(w);
    expect(400, CALL(&f, .path = WIDGETS "?watch=1&timeoutSeconds=soon"));
}

/* Again and again, so that who reads on goes on from a revision that is still known. */
static void bookmarks_come_again(void **state)
{
    fixture_stop(&f);
    f = (struct fixture){.bookmark_seconds = 1};
    fixture_start(&f);
    struct watching *w = open_watch("&allowWatchBookmarks=true");
    for (int i = 0; i < 3; i++)
        assert_string_equal(watch_next_text(w), "BOOKMARK ");
    watch_free(w);
}

static void tables(void **state)
{
    make("a", "x");
    struct watching *w =
        watch_open(&f, &(struct call){.path = WIDGETS "?watch=1",
                                      .accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"});
    yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "ADDED");
    assert_string_equal(json_str_at(root, "object.kind"), "Table");
    assert_int_equal(yyjson_arr_size(json_at(root, "object.columnDefinitions")), 4);
    assert_int_equal(yyjson_arr_size(json_at(root, "object.rows")), 1);
    yyjson_doc_free(doc);
    patch("a", "{\"spec\":{\"size\":9}}");
    doc = watch_next(w);
    root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "MODIFIED");
    assert_int_equal(yyjson_arr_size(json_at(root, "object.columnDefinitions")), 0);
    yyjson_doc_free(doc);
    watch_free(w);
}

static void large_objects_go_out_in_pieces(void **state)
{
    size_t n = 300000;
    struct buffer b = BUFFER_MAX((size_t)1 << 20);
    char *text = malloc(n + 1);
    struct watching *w = open_watch("");

    memset(text, 'q', n);
    text[n] = '\0';
    buffer_printf(&b, WIDGET("a", "{\"colour\":\"%s\"}"), text);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = b.p));
    make("b", "x");
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    assert_string_equal(json_str_at(yyjson_doc_get_root(doc), "object.spec.colour"), text);
    assert_string_equal(watch_next_text(w), "ADDED b");
    watch_free(w);
    buffer_free(&b);
    free(text);
}

/* Whoever goes in the midst of a line leaves nothing behind: the leak check at the end sees to it. */
static void a_reader_that_goes_in_the_midst_of_a_line(void **state)
{
    size_t n = (size_t)2 << 20;
    _cleanup_buffer_ struct buffer b = BUFFER_MAX((size_t)4 << 20);

    buffer_puts(&b, "{\"metadata\":{\"name\":\"large\"},\"spec\":{\"colour\":\"");
    for (size_t i = 0; i < n; i += 16)
        buffer_puts(&b, "qqqqqqqqqqqqqqqq");
    buffer_puts(&b, "\"}}");
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = b.p));
    for (int i = 0; i < 3; i++)
        watch_free(open_watch("")); /* its headers have been read, and of the line what came with them */
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/large"));
}

#define PART 32 /* of watch_state.c */

static void make_large(const char *name, char letter)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX((size_t)1 << 20);

    buffer_printf(&b, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"colour\":\"", name);
    for (size_t i = 0; i < 200000; i += 8)
        buffer_printf(&b, "%c%c%c%c%c%c%c%c", letter, letter, letter, letter, letter, letter, letter, letter);
    buffer_puts(&b, "\"}}");
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = b.p));
}

/* What changes before it is told at all is told once, as it is then; of what has been told the change follows. */
static void changes_while_the_present_is_told(void **state)
{
    char name[8];

    for (unsigned i = 0; i < PART + 4; i++) {
        snprintf(name, sizeof(name), "w%03u", i);
        make_large(name, 'q');
    }
    /* More than a connection holds: the first part is on its way until somebody reads. */
    struct watching *w = open_watch("");
    patch("w034", "{\"spec\":{\"colour\":\"new\"}}");
    patch("w000", "{\"spec\":{\"colour\":\"new\"}}");
    unsigned added = 0, modified = 0;
    while (added < PART + 4 || modified < 1) {
        _cleanup_json_ yyjson_doc *doc = watch_next(w);
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *type = json_str_at(root, "type"), *of = json_str_at(root, "object.metadata.name");
        added += streq(type, "ADDED");
        if (streq(type, "MODIFIED")) {
            assert_string_equal(of, "w000");
            modified++;
        } else if (streq(of, "w034")) {
            assert_string_equal(json_str_at(root, "object.spec.colour"), "new");
        }
    }
    watch_free(w);
}

static int put_elsewhere(struct store_txn *t, void *arg, struct error **err)
{
    txn_put(t, "others", "x", "uid", STR("{}"));
    return 0;
}

/* A quiet collection beside a busy one: bookmarks go on with the log, or their reader would be too old one day. */
static void bookmarks_follow_others(void **state)
{
    fixture_stop(&f);
    f = (struct fixture){.bookmark_seconds = 1};
    fixture_start(&f);
    struct watching *w = open_watch("&allowWatchBookmarks=true");
    assert_string_equal(watch_next_text(w), "BOOKMARK ");
    assert_int_equal(store_run(f.store, put_elsewhere, NULL, NULL), 0);
    bool reached = false;
    for (int i = 0; i < 5 && !reached; i++) {
        _cleanup_json_ yyjson_doc *doc = watch_next(w);
        const char *revision = json_str_at(yyjson_doc_get_root(doc), "object.metadata.resourceVersion");
        reached = strtoull(revision, NULL, 10) == store_revision(f.store);
    }
    assert_true(reached);
    watch_free(w);
}

static void watchers_are_counted(void **state)
{
    struct watching *w = open_watch("");

    make("a", "x");
    assert_string_equal(watch_next_text(w), "ADDED a");
    assert_true(answer_has(CALL(&f, .path = "/metrics"), "open_hydra_api_watchers{resource=\"widgets\"} 1\n"));
    /* A stop of the server ends it. */
    fixture_restart(&f);
    assert_string_equal(watch_next_text(w), "END");
    watch_free(w);
}

static void many_watchers_see_the_same(void **state)
{
    struct watching *w[100];

    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        w[i] = open_watch(i % 2 ? "&labelSelector=l%3Dx" : "");
    for (int round = 0; round < 20; round++) {
        char name[16];
        snprintf(name, sizeof(name), "w%03d", round);
        make(name, "x");
    }
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        for (int round = 0; round < 20; round++) {
            char expected[32];
            snprintf(expected, sizeof(expected), "ADDED w%03d", round);
            assert_string_equal(watch_next_text(w[i]), expected);
        }
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        watch_free(w[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(present_then_events),
        TEST(resumes),
        TEST(too_old_and_too_new),
        TEST(many_present_objects),
        TEST(objects_begin_and_cease_to_match),
        TEST(one_name),
        TEST(streaming_list),
        TEST(a_silent_watch_says_at_once_that_it_is_there),
        TEST(ends_in_time_with_a_bookmark),
        TEST(bookmarks_come_again),
        TEST(tables),
        TEST(large_objects_go_out_in_pieces),
        TEST(a_reader_that_goes_in_the_midst_of_a_line),
        TEST(changes_while_the_present_is_told),
        TEST(bookmarks_follow_others),
        TEST(watchers_are_counted),
        TEST(many_watchers_see_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
