#include "unit/model/gadget.h"

#include "server/model/table.h"

#define NOW INT64_C(1767323045000000) /* 2026-01-02T03:04:05Z */

static struct kind *kind;

static int setup(void **state)
{
    kind = gadget_kind();
    return 0;
}

static int teardown(void **state)
{
    kind_free(kind);
    return 0;
}

static void test_ages(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{-5, "<invalid>"},
                 {-1, "0s"},
                 {0, "0s"},
                 {119, "119s"},
                 {120, "2m"},
                 {125, "2m5s"},
                 {599, "9m59s"},
                 {600, "10m"},
                 {3 * 3600 - 1, "179m"},
                 {3 * 3600, "3h"},
                 {3 * 3600 + 60, "3h1m"},
                 {8 * 3600, "8h"},
                 {47 * 3600 + 59, "47h"},
                 {48 * 3600, "2d"},
                 {76 * 3600, "3d4h"},
                 {8 * 86400, "8d"},
                 {730LL * 86400, "2y"},
                 {735LL * 86400, "2y5d"},
                 {3000LL * 86400, "8y"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[AGE_SIZE];
        age_text(text, cases[i].seconds * 1000000);
        assert_string_equal(text, cases[i].text);
    }
    char text[AGE_SIZE];
    age_text(text, INT64_MAX);
    age_text(text, INT64_MIN);
}

static void test_include(void **state)
{
    enum table_include i;
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(table_include_parse(NULL, &i, NULL), 0);
    assert_int_equal(i, TABLE_INCLUDE_METADATA);
    assert_int_equal(table_include_parse("None", &i, NULL), 0);
    assert_int_equal(i, TABLE_INCLUDE_NONE);
    assert_int_equal(table_include_parse("Object", &i, NULL), 0);
    assert_int_equal(i, TABLE_INCLUDE_OBJECT);
    assert_int_equal(table_include_parse("Metadata", &i, NULL), 0);
    assert_int_equal(table_include_parse("All", &i, &err), -1);
    assert_int_equal(err->reason, REASON_BAD_REQUEST);
}

#define OBJECT                                                                                                         \
    "{\"metadata\":{\"name\":\"g\",\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-01-02T03:00:05Z\"},"         \
    "\"spec\":{\"role\":2,\"tags\":[\"a\",1]},\"status\":{\"ready\":true,\"load\":0.5,\"since\":\"2026-01-01T03:04:"   \
    "05Z\"}}"

static void test_list(void **state)
{
    struct table t = {.kind = kind, .now_us = NOW};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);
    struct gadget
        g = gadget_parse(OBJECT),
        empty = gadget_parse(
            "{\"metadata\":{\"name\":\"e\"},\"status\":{\"since\":\"x\"},\"spec\":{\"role\":\"x\",\"tags\":\"\\\"\"}}");

    table_open(&t, &b);
    table_row(&t, &b, yyjson_doc_get_root(g.text), STR(OBJECT));
    table_row(&t, &b, yyjson_doc_get_root(empty.text), STR(""));
    table_close(&t, &b, 9, "token", 3);
    assert_json(
        b.p,
        "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"columnDefinitions\":["
        "{\"name\":\"Name\",\"type\":\"string\",\"format\":\"name\",\"description\":\"The object's name, unique in its "
        "kind.\",\"priority\":0},"
        "{\"name\":\"Role\",\"type\":\"integer\",\"format\":\"\",\"description\":\"Which one.\",\"priority\":0},"
        "{\"name\":\"Tags\",\"type\":\"string\",\"format\":\"\",\"description\":\"\",\"priority\":0},"
        "{\"name\":\"Ready\",\"type\":\"boolean\",\"format\":\"\",\"description\":\"\",\"priority\":1},"
        "{\"name\":\"Load\",\"type\":\"number\",\"format\":\"\",\"description\":\"\",\"priority\":0},"
        "{\"name\":\"Since\",\"type\":\"date\",\"format\":\"\",\"description\":\"\",\"priority\":0},"
        "{\"name\":\"Age\",\"type\":\"date\",\"format\":\"\",\"description\":\"How long ago the object was "
        "created.\",\"priority\":0}],"
        "\"rows\":[{\"cells\":[\"g\",2,\"[\\\"a\\\",1]\",true,0.5,\"24h\",\"4m\"],\"object\":{\"kind\":"
        "\"PartialObjectMetadata\","
        "\"apiVersion\":\"meta.k8s.io/"
        "v1\",\"metadata\":{\"name\":\"g\",\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-01-02T03:00:05Z\"}}},"
        "{\"cells\":[\"e\",null,\"\\\"\",null,null,\"<invalid>\",null],\"object\":{\"kind\":\"PartialObjectMetadata\","
        "\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"name\":\"e\"}}}],"
        "\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"token\",\"remainingItemCount\":3}}");
    gadget_free(&g);
    gadget_free(&empty);
}

static void test_empty_list(void **state)
{
    struct table t = {.kind = kind, .now_us = NOW, .version = "v1beta1"};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);

    table_open(&t, &b);
    table_close(&t, &b, 1, NULL, -1);
    assert_non_null(strstr(b.p, "meta.k8s.io/v1beta1"));
    assert_non_null(strstr(b.p, "\"rows\":[],\"metadata\":{\"resourceVersion\":\"1\"}}"));
}

static void test_one_object(void **state)
{
    struct table t = {.kind = kind, .now_us = NOW, .include = TABLE_INCLUDE_OBJECT};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);
    struct gadget g = gadget_parse(OBJECT);

    table_object(&t, &b, yyjson_doc_get_root(g.text), STR(OBJECT), false);
    assert_json(b.p,
                "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/"
                "v1\",\"metadata\":{\"resourceVersion\":\"7\"},\"columnDefinitions\":null,"
                "\"rows\":[{\"cells\":[\"g\",2,\"[\\\"a\\\",1]\",true,0.5,\"24h\",\"4m\"],\"object\":" OBJECT "}]}");
    buffer_clear(&b);
    t.include = TABLE_INCLUDE_NONE;
    table_object(&t, &b, yyjson_doc_get_root(g.text), STR(OBJECT), true);
    assert_non_null(strstr(b.p, "\"object\":null"));
    assert_non_null(strstr(b.p, "\"columnDefinitions\":[{"));
    gadget_free(&g);
}

static void test_partial(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);
    struct gadget g = gadget_parse("{}");

    partial_metadata_write(&b, "v1beta1", yyjson_doc_get_root(g.text));
    assert_string_equal(b.p,
                        "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1beta1\",\"metadata\":{}}");
    gadget_free(&g);
}

static void test_so_many_rows(void **state)
{
    struct gadget g = gadget_parse(OBJECT);

    for (size_t rows = 0; rows < 5; rows++) {
        struct table t = {.kind = kind, .now_us = NOW};
        _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);
        table_open(&t, &b);
        for (size_t i = 0; i < rows; i++)
            table_row(&t, &b, yyjson_doc_get_root(g.text), STR(OBJECT));
        table_close(&t, &b, 9, NULL, -1);
        _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&b), NULL);
        assert_non_null(doc);
        assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(doc), "rows")), rows);
    }
    gadget_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ages),         cmocka_unit_test(test_include),    cmocka_unit_test(test_list),
        cmocka_unit_test(test_so_many_rows), cmocka_unit_test(test_empty_list), cmocka_unit_test(test_one_object),
        cmocka_unit_test(test_partial),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
