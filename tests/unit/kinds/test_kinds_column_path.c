#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kinds/column_path.h"

static void test_valid(void **state)
{
    static const char *const good[] = {
        ".a", ".a.b", ".a[0]", ".a\\.b/c", ".a[?(@.type==\"Ready\")].status", ".a[?(@.t=='x')]"};
    static const char *const bad[] = {"",
                                      "a",
                                      ".",
                                      "..a",
                                      ".a.",
                                      ".a[",
                                      ".a[]",
                                      ".a[x]",
                                      ".a[-1]",
                                      ".a[*]",
                                      ".a[?(@.==\"x\")]",
                                      ".a[?(@.t==x)]",
                                      ".a[?(@.t==\"x)]",
                                      ".a[0",
                                      "$.a",
                                      ".a[?(@.t>\"x\")]"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(column_path_valid(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (column_path_valid(bad[i]))
            fail_msg("%s", bad[i]);
    assert_false(column_path_valid(NULL));
}

/* A step's key has 256 bytes of room. */
static void test_long_keys(void **state)
{
    char path[1024] = ".";
    _cleanup_json_ yyjson_doc *doc = json_parse(STR("{}"), NULL);

    memset(path + 1, 'k', 256);
    assert_true(column_path_valid(path));
    assert_null(column_path_get(yyjson_doc_get_root(doc), path));
    memset(path + 1, 'k', 257);
    assert_false(column_path_valid(path));
    assert_null(column_path_get(yyjson_doc_get_root(doc), path));
    memset(path + 1, 'k', 1000);
    assert_false(column_path_valid(path));
    for (size_t i = 1; i < 1000; i += 2)
        path[i] = '\\';
    assert_false(column_path_valid(path));
    assert_null(column_path_get(yyjson_doc_get_root(doc), path));
}

static void test_get(void **state)
{
    _cleanup_json_ yyjson_doc *doc =
        json_parse(STR("{\"a\":{\"b\":1,\"x.y/z\":2},\"l\":[3,4],"
                       "\"c\":[{\"type\":\"A\",\"status\":\"no\"},{\"type\":\"Ready\",\"status\":\"yes\"}]}"),
                   NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);

    assert_int_equal(yyjson_get_int(column_path_get(root, ".a.b")), 1);
    assert_int_equal(yyjson_get_int(column_path_get(root, ".a.x\\.y/z")), 2);
    assert_int_equal(yyjson_get_int(column_path_get(root, ".l[1]")), 4);
    assert_string_equal(yyjson_get_str(column_path_get(root, ".c[?(@.type==\"Ready\")].status")), "yes");
    assert_null(column_path_get(root, ".l[2]"));
    assert_null(column_path_get(root, ".a.b.c"));
    assert_null(column_path_get(root, ".c[?(@.type==\"None\")].status"));
    assert_null(column_path_get(NULL, ".a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid), cmocka_unit_test(test_long_keys),
                                       cmocka_unit_test(test_get)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
