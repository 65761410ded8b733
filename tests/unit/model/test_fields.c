#include "unit/model/gadget.h"

#include "server/model/same.h"
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

static void fill(const char *json, const char *expected)
{
    struct gadget g = gadget_parse(json);

    schema_default(kind, g.doc, g.object);
    assert_json(gadget_text(&g), expected);
    schema_default(kind, g.doc, g.object);
    assert_json(gadget_text(&g), expected);
    gadget_free(&g);
}

static void test_defaults(void **state)
{
    fill("{\"spec\":{}}", "{\"spec\":{\"flag\":true,\"nested\":{\"depth\":1,\"more\":\"m\"}}}");
    fill("{\"spec\":{\"flag\":false,\"nested\":{\"more\":\"n\"},\"parts\":[{\"name\":\"a\"},{\"count\":1}]}}",
         "{\"spec\":{\"flag\":false,\"nested\":{\"more\":\"n\"},\"parts\":[{\"name\":\"a\",\"count\":7},{\"count\":1}]}"
         "}");
    fill("{}", "{}");
    fill("{\"spec\":3}", "{\"spec\":3}");
}

static void test_nulls(void **state)
{
    fill("{\"spec\":{\"flag\":null,\"color\":null,\"maybe\":null,\"any\":null,\"free\":{\"x\":null},\"nested\":{"
         "\"more\":null}}}",
         "{\"spec\":{\"flag\":true,\"maybe\":null,\"any\":null,\"free\":{\"x\":null},\"nested\":{\"more\":\"m\"}}}");
    fill("{\"spec\":{\"flag\":true,\"nested\":{\"more\":\"\"},\"labels\":{\"a\":null,\"b\":\"c\"}}}",
         "{\"spec\":{\"flag\":true,\"nested\":{\"more\":\"\"},\"labels\":{\"b\":\"c\"}}}");
}

static void restore(const char *old, const char *sent, const char *expected)
{
    struct gadget before = gadget_parse(old), g = gadget_parse(sent);

    schema_restore_output_only(kind, streq(old, "null") ? NULL : yyjson_doc_get_root(before.text), g.doc, g.object);
    assert_json(gadget_text(&g), expected);
    gadget_free(&before);
    gadget_free(&g);
}

static void test_output_only(void **state)
{
    restore("{\"spec\":{\"url\":\"old\"}}", "{\"spec\":{\"url\":\"new\",\"role\":1}}",
            "{\"spec\":{\"url\":\"old\",\"role\":1}}");
    restore("{\"spec\":{\"url\":\"old\"}}", "{\"spec\":{}}", "{\"spec\":{\"url\":\"old\"}}");
    restore("{\"spec\":{\"url\":\"old\"}}", "{}", "{\"spec\":{\"url\":\"old\"}}");
    restore("{\"spec\":{\"url\":\"old\"}}", "{\"spec\":\"x\"}", "{\"spec\":\"x\"}");
    restore("{\"spec\":{}}", "{\"spec\":{\"url\":\"new\"}}", "{\"spec\":{}}");
    restore("null", "{\"spec\":{\"url\":\"new\"}}", "{\"spec\":{}}");
    restore("null", "{}", "{}");
}

static void immutable(const char *old, const char *sent, const char *expected, const char *message)
{
    struct gadget before = gadget_parse(old), g = gadget_parse(sent);
    _cleanup_error_ struct error *err = NULL;

    int rc = schema_check_immutable(kind, yyjson_doc_get_root(before.text), g.doc, g.object, &err);
    assert_int_equal(rc, message ? -1 : 0);
    if (message) {
        assert_string_equal(err->message, message);
        assert_int_equal(err->reason, REASON_INVALID);
    } else {
        assert_json(gadget_text(&g), expected);
    }
    gadget_free(&before);
    gadget_free(&g);
}

static void test_immutable(void **state)
{
    immutable("{\"spec\":{\"owner\":\"a\"}}", "{\"spec\":{\"owner\":\"a\"}}", "{\"spec\":{\"owner\":\"a\"}}", NULL);
    immutable("{\"spec\":{\"owner\":\"a\"}}", "{\"spec\":{}}", "{\"spec\":{\"owner\":\"a\"}}", NULL);
    immutable("{\"spec\":{\"owner\":\"a\"}}", "{\"spec\":{\"owner\":null}}", "{\"spec\":{\"owner\":\"a\"}}", NULL);
    immutable("{\"spec\":{\"owner\":\"a\"}}", "{\"spec\":{\"owner\":\"b\"}}", NULL,
              "spec.owner: Invalid value: \"b\": field is immutable: delete and create");
    immutable("{\"spec\":{}}", "{\"spec\":{\"owner\":\"b\"}}", NULL,
              "spec.owner: Invalid value: \"b\": field is immutable: delete and create");
    immutable("{\"spec\":{\"shape\":{\"a\":1,\"b\":2}}}", "{\"spec\":{\"shape\":{\"b\":2,\"a\":1}}}",
              "{\"spec\":{\"shape\":{\"a\":1,\"b\":2}}}", NULL);
    immutable("{\"spec\":{\"shape\":{\"a\":1}}}", "{\"spec\":{\"shape\":{\"a\":2}}}", NULL,
              "spec.shape: Invalid value: ...: field is immutable: delete and create");
}

static bool same(const char *a, const char *b)
{
    struct gadget left = gadget_parse(a), right = gadget_parse(b);
    bool result = value_same(left.object, right.object);

    gadget_free(&left);
    gadget_free(&right);
    return result;
}

static void test_same(void **state)
{
    assert_true(same("{\"a\":[1,{\"b\":null}],\"c\":\"d\"}", "{\"c\":\"d\",\"a\":[1,{\"b\":null}]}"));
    assert_false(same("{\"a\":1}", "{\"a\":1,\"b\":2}"));
    assert_false(same("{\"a\":1}", "{\"b\":1}"));
    assert_false(same("[1,2]", "[2,1]"));
    assert_false(same("[1]", "[1,2]"));
    assert_false(same("{}", "[]"));
    assert_false(same("{}", "null"));
    assert_false(same("\"1\"", "1"));
}

static void test_same_in_other_order_is_not_slow(void **state)
{
    _cleanup_buffer_ struct buffer up = BUFFER_MAX(1 << 24), down = BUFFER_MAX(1 << 24);
    const int n = 200000;

    for (int i = 0; i < n; i++) {
        buffer_printf(&up, "%c\"%d\":1", i ? ',' : '{', i);
        buffer_printf(&down, "%c\"%d\":1", i ? ',' : '{', n - 1 - i);
    }
    buffer_puts(&up, "}");
    buffer_puts(&down, "}");
    assert_true(same(up.p, down.p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_output_only), cmocka_unit_test(test_immutable),
        cmocka_unit_test(test_same),        cmocka_unit_test(test_same_in_other_order_is_not_slow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
