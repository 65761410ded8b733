#include "unit/model/gadget.h"

#include "server/model/schema.h"

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

/* The reported paths, each followed by a blank. */
static struct buffer seen = {.max = 65536};
static size_t reports;

static void note(void *arg, const char *path)
{
    buffer_printf(&seen, "%s ", path);
    reports++;
}

static void prune(const char *json, const char *expected, const char *paths)
{
    struct gadget g = gadget_parse(json);

    buffer_clear(&seen);
    schema_prune(kind, g.object, note, NULL);
    assert_json(gadget_text(&g), expected);
    assert_string_equal(buffer_str(&seen).p, paths);
    gadget_free(&g);
}

static void test_unknown_fields(void **state)
{
    prune("{\"apiVersion\":\"v\",\"kind\":\"K\",\"spec\":{\"role\":1,\"foo\":2},\"bar\":{}}",
          "{\"apiVersion\":\"v\",\"kind\":\"K\",\"spec\":{\"role\":1}}", "spec.foo bar ");
    prune("{\"spec\":{\"parts\":[{\"name\":\"a\",\"x\":1},{\"y\":2}]}}", "{\"spec\":{\"parts\":[{\"name\":\"a\"},{}]}}",
          "spec.parts[0].x spec.parts[1].y ");
    prune("{\"spec\":{\"free\":{\"a\":{\"b\":1}},\"any\":{\"c\":1},\"labels\":{\"d\":\"e\"}}}",
          "{\"spec\":{\"free\":{\"a\":{\"b\":1}},\"any\":{\"c\":1},\"labels\":{\"d\":\"e\"}}}", "");
    prune("{\"spec\":{\"role\":{\"a\":1},\"tags\":\"x\"}}", "{\"spec\":{\"role\":{\"a\":1},\"tags\":\"x\"}}", "");
    prune("{\"spec\":{\"a\":1,\"b\":2,\"c\":3}}", "{\"spec\":{}}", "spec.a spec.b spec.c ");
}

static void test_unknown_metadata(void **state)
{
    prune("{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"},\"color\":1,\"ownerReferences\":[{\"uid\":\"u\","
          "\"z\":1}]}}",
          "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"},\"ownerReferences\":[{\"uid\":\"u\"}]}}",
          "metadata.color metadata.ownerReferences[0].z ");
}

static void find(const char *json, const char *paths)
{
    struct gadget g = gadget_parse(json);

    buffer_clear(&seen);
    schema_find_duplicates(yyjson_doc_get_root(g.text), note, NULL);
    assert_string_equal(buffer_str(&seen).p, paths);
    gadget_free(&g);
}

static void drop(const char *json, const char *expected)
{
    struct gadget g = gadget_parse(json);

    schema_drop_duplicates(g.object);
    assert_string_equal(gadget_text(&g), expected);
    gadget_free(&g);
}

static void test_duplicates(void **state)
{
    find("{\"a\":1,\"b\":{\"c\":1,\"c\":2,\"c\":3},\"a\":2}", "b.c b.c a ");
    find("{\"l\":[{\"x\":1,\"x\":1}]}", "l[0].x ");
    find("[1,2]", "");
    drop("{\"a\":1,\"b\":{\"c\":1,\"c\":2,\"c\":3},\"a\":2}", "{\"b\":{\"c\":3},\"a\":2}");
    drop("[{\"x\":1,\"x\":2},{\"y\":1}]", "[{\"x\":2},{\"y\":1}]");
    drop("{}", "{}");
}

/* The other way of searching, for objects with many keys. */
static void test_many_duplicates(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 22);

    buffer_puts(&b, "{\"k0\":0");
    for (int i = 1; i < 100000; i++)
        buffer_printf(&b, ",\"k%d\":%d", i % 50000, i);
    buffer_puts(&b, "}");
    struct gadget g = gadget_parse(b.p);
    reports = 0;
    assert_int_equal(schema_find_duplicates(yyjson_doc_get_root(g.text), note, NULL), 50000);
    assert_int_equal(reports, SCHEMA_MAX_REPORTS);
    schema_drop_duplicates(g.object);
    assert_int_equal(yyjson_mut_obj_size(g.object), 50000);
    assert_int_equal(yyjson_mut_get_int(yyjson_mut_obj_get(g.object, "k0")), 50000);
    assert_int_equal(schema_prune(kind, g.object, NULL, NULL), 50000);
    gadget_free(&g);
}

static int cleanup(void **state)
{
    buffer_free(&seen);
    return teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_unknown_metadata),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_many_duplicates),
    };
    return cmocka_run_group_tests(tests, setup, cleanup);
}
