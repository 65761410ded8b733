/* list: selectors, pages, revisions, tables. */
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
    f = (struct fixture){.log_max_events = 50};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

static struct answer *get(const char *path)
{
    return CALL(&f, .path = path);
}

static void make(int n)
{
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *body = xasprintf(
            "{\"metadata\":{\"name\":\"w%03d\",\"labels\":{\"odd\":\"%s\"}},\"spec\":{}}", i, i % 2 ? "yes" : "no");
        expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = body));
    }
}

static yyjson_val *items(const struct answer *a)
{
    return json_at(yyjson_doc_get_root(a->doc), "items");
}

static const char *name_of(const struct answer *a, size_t i)
{
    return json_str_at(yyjson_arr_get(items(a), i), "metadata.name");
}

static void whole(void **state)
{
    struct answer *a = expect(200, get(WIDGETS));

    assert_string_equal(answer_str(a, "kind"), "WidgetList");
    assert_string_equal(answer_str(a, "apiVersion"), "test.example.io/v1");
    assert_int_equal(yyjson_arr_size(items(a)), 0);
    make(3);
    a = expect(200, get(WIDGETS));
    assert_int_equal(yyjson_arr_size(items(a)), 3);
    assert_int_equal(answer_revision(a), store_revision(f.store));
    assert_string_equal(name_of(a, 0), "w000");
    assert_string_equal(name_of(a, 2), "w002");
    assert_string_equal(answer_str(a, "metadata.continue"), "(absent)");
    expect(200, CALL(&f, .method = "HEAD", .path = WIDGETS));
}

static void selected(void **state)
{
    struct answer *a;

    make(6);
    a = expect(200, get(WIDGETS "?labelSelector=odd%3Dyes"));
    assert_int_equal(yyjson_arr_size(items(a)), 3);
    assert_string_equal(name_of(a, 0), "w001");
    a = expect(200, get(WIDGETS "?fieldSelector=metadata.name%3Dw004"));
    assert_int_equal(yyjson_arr_size(items(a)), 1);
    assert_string_equal(name_of(a, 0), "w004");
    a = expect(200, get(WIDGETS "?fieldSelector=metadata.name!%3Dw004"));
    assert_int_equal(yyjson_arr_size(items(a)), 5);
    a = expect(200, get(WIDGETS "?fieldSelector=metadata.name%3Dnone"));
    assert_int_equal(yyjson_arr_size(items(a)), 0);
    expect(400, get(WIDGETS "?fieldSelector=spec.size%3D1"));
    expect(400, get(WIDGETS "?labelSelector=%3D%3D"));
    a = expect(200, get(WIDGETS "?labelSelector=odd%3Dyes&limit=2"));
    assert_int_equal(yyjson_arr_size(items(a)), 2);
    assert_int_equal(answer_int(a, "metadata.remainingItemCount"), -1);
    _cleanup_free_ char *path =
        xasprintf(WIDGETS "?labelSelector=odd%%3Dyes&limit=2&continue=%s", answer_str(a, "metadata.continue"));
    a = expect(200, get(path));
    assert_int_equal(yyjson_arr_size(items(a)), 1);
    assert_string_equal(name_of(a, 0), "w005");
    assert_string_equal(answer_str(a, "metadata.continue"), "(absent)");
}

static void in_pages(void **state)
{
    size_t seen_items = 0;
    _cleanup_free_ char *token = xstrdup("");
    uint64_t revision = 0;

    make(10);
    for (int page = 0; page < 4; page++) {
        _cleanup_free_ char *path = xasprintf(WIDGETS "?limit=3&continue=%s", token);
        struct answer *a = expect(200, get(path));
        if (page == 0) {
            revision = answer_revision(a);
            assert_int_equal(answer_int(a, "metadata.remainingItemCount"), 7);
            /* What comes meanwhile does not change what the list stands for. */
            expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a0", "{}")));
            a = expect(200, get(path));
            seen_items--; /* a0 leads this page */
            revision = answer_revision(a);
        }
        assert_int_equal(answer_revision(a), revision);
        seen_items += yyjson_arr_size(items(a));
        free(token);
        token = xstrdup(page < 3 ? answer_str(a, "metadata.continue") : "");
        assert_string_not_equal(token, "(absent)");
    }
    assert_int_equal(seen_items, 10);
    expect(400, get(WIDGETS "?limit=3&continue=nonsense"));
    expect(400, get(WIDGETS "?limit=many"));
}

/* Whoever lists by pages and watches from there loses no change: all pages carry the first one's revision, in every
 * form, with and without a selector. */
static void later_pages_stand_for_the_first(void **state)
{
    static const struct {
        const char *query, *accept;
    } ways[] = {{"", NULL},
                {"&labelSelector=!nothing", NULL},
                {"", "application/json;as=Table;v=v1;g=meta.k8s.io"},
                {"", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}};

    make(6);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        _cleanup_free_ char *begin = xasprintf(WIDGETS "?limit=2%s", ways[i].query);
        struct answer *a = expect(200, CALL(&f, .path = begin, .accept = ways[i].accept));
        uint64_t first = answer_revision(a);
        for (int page = 1; page < 3; page++) {
            _cleanup_free_ char *next = xasprintf("%s&continue=%s", begin, answer_str(a, "metadata.continue"));
            _cleanup_free_ char *body = xasprintf("{\"spec\":{\"size\":%d}}", (int)(2 * i) + page + 10);
            expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/w000", .body = body,
                             .type = "application/merge-patch+json"));
            a = expect(200, CALL(&f, .path = next, .accept = ways[i].accept));
            assert_int_equal(answer_revision(a), first);
        }
        assert_string_equal(answer_str(a, "metadata.continue"), "(absent)");
    }
}

/* One name, on a page after it: there is nothing left of it. */
static void one_name_in_pages(void **state)
{
    make(4);
    _cleanup_free_ char *token = xstrdup(answer_str(expect(200, get(WIDGETS "?limit=2")), "metadata.continue"));
    static const struct {
        const char *name;
        size_t found;
    } names[] = {{"w000", 0}, {"w001", 0}, {"w002", 1}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path =
            xasprintf(WIDGETS "?fieldSelector=metadata.name%%3D%s&continue=%s", names[i].name, token);
        assert_int_equal(yyjson_arr_size(items(expect(200, get(path)))), names[i].found);
    }
    _cleanup_free_ char *both = xasprintf(WIDGETS "?limit=2&resourceVersion=1&continue=%s", token);
    expect(400, get(both));
}

static void old_pages_expire(void **state)
{
    make(5);
    _cleanup_free_ char *path = xasprintf(WIDGETS "?limit=3&continue=%s",
                                          answer_str(expect(200, get(WIDGETS "?limit=2")), "metadata.continue"));
    expect(200, get(path));
    for (int i = 0; i < 120; i++) {
        _cleanup_free_ char *body = xasprintf("{\"spec\":{\"size\":%d}}", i % 50 + 10);
        expect(200, CALL(&f, .method = "PATCH", .path = WIDGETS "/w000", .body = body,
                         .type = "application/merge-patch+json"));
    }
    struct answer *a = expect(410, get(path));
    assert_string_equal(answer_str(a, "reason"), "Expired");
}

static void revisions(void **state)
{
    make(2);
    uint64_t now = answer_revision(get(WIDGETS));
    _cleanup_free_ char *exact =
        xasprintf(WIDGETS "?resourceVersion=%llu&resourceVersionMatch=Exact", (unsigned long long)now);
    _cleanup_free_ char *future = xasprintf(WIDGETS "?resourceVersion=%llu", (unsigned long long)now + 10);

    expect(200, get(WIDGETS "?resourceVersion=0"));
    expect(200, get(WIDGETS "?resourceVersion=0&resourceVersionMatch=NotOlderThan"));
    expect(200, get(WIDGETS "?resourceVersion=1&resourceVersionMatch=NotOlderThan"));
    assert_int_equal(answer_revision(expect(200, get(exact))), now);
    struct answer *a = expect(504, get(future));
    assert_string_equal(answer_str(a, "reason"), "Timeout");
    assert_true(answer_has(a, "Too large resource version: "));
    assert_true(answer_has(a, "\"reason\":\"ResourceVersionTooLarge\""));
    assert_true(answer_has_header(a, "Retry-After: 1\r\n"));
    expect(504, get(WIDGETS "/w000?resourceVersion=1000"));
    expect(400, get(WIDGETS "?resourceVersion=x"));
    expect(400, get(WIDGETS "?resourceVersionMatch=Exact"));
    expect(400, get(WIDGETS "?resourceVersion=0&resourceVersionMatch=Exact"));
    expect(400, get(WIDGETS "?resourceVersion=1&resourceVersionMatch=Newer"));
    make(0);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("later", "{}")));
    expect(410, get(exact));
}

#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

static void tables(void **state)
{
    struct answer *a;

    make(3);
    a = expect(200, CALL(&f, .path = WIDGETS, .accept = TABLE));
    yyjson_val *root = yyjson_doc_get_root(a->doc);
    assert_string_equal(answer_str(a, "kind"), "Table");
    assert_int_equal(yyjson_arr_size(json_at(root, "columnDefinitions")), 4);
    assert_int_equal(yyjson_arr_size(json_at(root, "rows")), 3);
    assert_string_equal(
        yyjson_get_str(yyjson_arr_get_first(json_at(yyjson_arr_get_first(json_at(root, "rows")), "cells"))), "w000");
    a = expect(200, CALL(&f, .path = WIDGETS "/w001", .accept = TABLE));
    assert_string_equal(answer_str(a, "kind"), "Table");
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "rows")), 1);
    a = expect(200, CALL(&f, .path = WIDGETS "?limit=2", .accept = TABLE));
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "rows")), 2);
    assert_string_not_equal(answer_str(a, "metadata.continue"), "(absent)");
    expect(200, CALL(&f, .path = WIDGETS "?includeObject=Object", .accept = TABLE));
    expect(400, CALL(&f, .path = WIDGETS "?includeObject=Half", .accept = TABLE));
    a = expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("new", "{}"), .accept = TABLE));
    assert_string_equal(answer_str(a, "kind"), "Table");
    /* A Status is no row of a table. */
    a = expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/new", .accept = TABLE));
    assert_string_equal(answer_str(a, "kind"), "Status");
}

static void metadata_alone(void **state)
{
    const char *accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    struct answer *a;

    make(2);
    a = expect(200, CALL(&f, .path = WIDGETS, .accept = accept));
    assert_string_equal(answer_str(a, "kind"), "PartialObjectMetadataList");
    assert_int_equal(yyjson_arr_size(items(a)), 2);
    assert_string_equal(name_of(a, 1), "w001");
    assert_null(json_at(yyjson_arr_get_first(items(a)), "spec"));
    a = expect(200, CALL(&f, .path = WIDGETS "/w000",
                         .accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"));
    assert_string_equal(answer_str(a, "kind"), "PartialObjectMetadata");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(whole),
        TEST(selected),
        TEST(in_pages),
        TEST(later_pages_stand_for_the_first),
        TEST(one_name_in_pages),
        TEST(old_pages_expire),
        TEST(revisions),
        TEST(tables),
        TEST(metadata_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
