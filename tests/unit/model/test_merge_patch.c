#include "unit/model/gadget.h"

#include "server/model/merge_patch.h"

static void patch(const char *target, const char *change, const char *expected)
{
    struct gadget t = gadget_parse(target), p = gadget_parse(change);
    size_t n;

    yyjson_mut_val *result = merge_patch(t.doc, yyjson_doc_get_root(t.text), yyjson_doc_get_root(p.text));
    _cleanup_free_ char *text = json_mut_write(result, &n);
    assert_json(text, expected);
    gadget_free(&t);
    gadget_free(&p);
}

/* RFC 7396, appendix A. */
static void test_rfc(void **state)
{
    patch("{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    patch("{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}");
    patch("{\"a\":\"b\"}", "{\"a\":null}", "{}");
    patch("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}");
    patch("{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    patch("{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}");
    patch("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}");
    patch("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}");
    patch("[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]");
    patch("{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]");
    patch("{\"a\":\"foo\"}", "null", "null");
    patch("{\"a\":\"foo\"}", "\"bar\"", "\"bar\"");
    patch("{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}");
    patch("[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}");
    patch("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}");
}

static void test_equal_keys(void **state)
{
    patch("{\"a\":1}", "{\"a\":2,\"a\":3}", "{\"a\":3}");
    patch("{\"a\":1}", "{\"a\":2,\"a\":null}", "{}");
    patch("{}", "{\"b\":1,\"b\":2}", "{\"b\":2}");
}

static void test_many_keys(void **state)
{
    _cleanup_buffer_ struct buffer t = BUFFER_MAX(1 << 24), p = BUFFER_MAX(1 << 24);
    const int n = 100000;

    for (int i = 0; i < n; i++) {
        buffer_printf(&t, "%c\"%d\":1", i ? ',' : '{', i);
        buffer_printf(&p, "%c\"%d\":%s", i ? ',' : '{', n - 1 - i, i % 2 ? "null" : "2");
    }
    buffer_puts(&t, "}");
    buffer_puts(&p, ",\"x\":3}");
    struct gadget target = gadget_parse(t.p), change = gadget_parse(p.p);
    yyjson_mut_val *result =
        merge_patch(target.doc, yyjson_doc_get_root(target.text), yyjson_doc_get_root(change.text));
    assert_int_equal(yyjson_mut_obj_size(result), n / 2 + 1);
    assert_int_equal(yyjson_mut_get_int(yyjson_mut_obj_get(result, "99999")), 2);
    assert_null(yyjson_mut_obj_get(result, "99998"));
    gadget_free(&target);
    gadget_free(&change);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc), cmocka_unit_test(test_equal_keys),
                                       cmocka_unit_test(test_many_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
