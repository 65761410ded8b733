#include "unit/model/gadget.h"

#include "server/model/metadata.h"
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

struct taken {
    struct arena *arena;
    const char *out[2];
    struct gadget gadget;
    struct error *err;
    int rc;
};

static struct taken take(const char *json)
{
    struct taken t = {.arena = arena_new(), .gadget = gadget_parse(json)};

    t.rc = schema_take_write_only(kind, t.gadget.doc, t.gadget.object, t.out, t.arena, &t.err);
    assert_null(strstr(gadget_text(&t.gadget), "hunter"));
    if (t.err)
        assert_null(strstr(t.err->message, "hunter"));
    return t;
}

static void release(struct taken *t)
{
    arena_free(t->arena);
    gadget_free(&t->gadget);
    error_free(t->err);
}

static void test_paths(void **state)
{
    assert_string_equal(kind->write_only[0], "spec.password");
    assert_string_equal(kind->write_only[1], "spec.login.token");
    assert_null(kind->write_only[2]);
}

static void test_takes(void **state)
{
    struct taken t =
        take("{\"spec\":{\"role\":1,\"password\":\"hunter2\",\"login\":{\"token\":\"hunter3\",\"host\":\"h\"}}}");

    assert_int_equal(t.rc, 0);
    assert_string_equal(t.out[0], "hunter2");
    assert_string_equal(t.out[1], "hunter3");
    assert_json(gadget_text(&t.gadget), "{\"spec\":{\"role\":1,\"login\":{\"host\":\"h\"}}}");
    release(&t);
}

static void test_absent_null_empty(void **state)
{
    static const char *const texts[] = {"{}", "{\"spec\":{}}", "{\"spec\":{\"password\":null}}",
                                        "{\"spec\":{\"password\":\"\"}}", "{\"spec\":7}"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct taken t = take(texts[i]);
        assert_int_equal(t.rc, 0);
        assert_null(t.out[0]);
        assert_null(strstr(gadget_text(&t.gadget), "password"));
        release(&t);
    }
}

static void refuse(const char *json)
{
    struct taken t = take(json);

    assert_int_equal(t.rc, -1);
    assert_int_equal(t.err->reason, REASON_INVALID);
    assert_string_equal(t.err->causes[0].field, "spec.password");
    release(&t);
}

static void test_wrong_values(void **state)
{
    refuse("{\"spec\":{\"password\":[\"hunter2\"]}}");
    refuse("{\"spec\":{\"password\":{\"hunter2\":1}}}");
    refuse("{\"spec\":{\"password\":12345}}");
    refuse("{\"spec\":{\"password\":\"hunter2hunter2hunter2hunter2\"}}");
    refuse("{\"spec\":{\"password\":\"hunter2\\u0000x\"}}");
}

static void test_all_of_equal_keys(void **state)
{
    struct taken t =
        take("{\"spec\":{\"password\":\"hunter1\"},\"spec\":{\"password\":\"hunter2\",\"password\":\"hunter3\"}}");

    assert_string_equal(t.out[0], "hunter3");
    release(&t);
}

/* {"metadata":{"annotations":{LAST_APPLIED: TEXT, "other": "x"}}} with TEXT quoted. */
static struct taken take_applied(const char *text)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);

    buffer_puts(&b, "{\"metadata\":{\"annotations\":{\"other\":\"x\",\"" LAST_APPLIED_ANNOTATION "\":");
    buffer_json_string(&b, str_from(text));
    buffer_puts(&b, "}}}");
    return take(b.p);
}

static const char *applied(const struct taken *t)
{
    yyjson_mut_val *annotations = json_mut_at(t->gadget.object, "metadata.annotations");
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(annotations, "other")), "x");
    return yyjson_mut_get_str(yyjson_mut_obj_get(annotations, LAST_APPLIED_ANNOTATION));
}

static void test_annotation(void **state)
{
    struct taken t = take_applied("{\"spec\":{\"password\":\"hunter2\",\"role\":1}}\n");

    assert_string_equal(applied(&t), "{\"spec\":{\"role\":1}}");
    release(&t);
    t = take_applied("{\"spec\": {\"role\": 1}}\n"); /* nothing to take: byte for byte */
    assert_string_equal(applied(&t), "{\"spec\": {\"role\": 1}}\n");
    release(&t);
}

static void test_hostile_annotations(void **state)
{
    static const char *const dropped[] = {"{\"spec\":{\"password\":\"hunter2\"", "hunter2", "\"hunter2\"",
                                          "[\"hunter2\"]", ""};

    for (size_t i = 0; i < ARRAY_SIZE(dropped); i++) {
        struct taken t = take_applied(dropped[i]);
        assert_null(applied(&t));
        release(&t);
    }
    struct taken t =
        take_applied("{\"spec\":{\"password\":\"hunter1\"},\"spec\":{\"password\":\"hunter2\",\"Password\":\"hunter3\","
                     "\"password\":\"hunter4\"},\"Spec\":{\"password\":\"hunter5\"}}");
    assert_string_equal(applied(&t), "{\"spec\":{}}");
    release(&t);
    t = take_applied("{\"metadata\":{\"annotations\":{\"" LAST_APPLIED_ANNOTATION
                     "\":\"{\\\"spec\\\":{\\\"password\\\":\\\"hunter2\\\"}}\"}}}");
    assert_string_equal(applied(&t), "{\"metadata\":{\"annotations\":{}}}");
    release(&t);
}

static void test_deep_annotation(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);

    for (int i = 0; i < 100000; i++)
        buffer_puts(&b, "{\"a\":");
    struct taken t = take_applied(b.p);
    assert_null(applied(&t));
    release(&t);
}

static void test_annotation_that_is_no_string(void **state)
{
    struct taken t = take("{\"metadata\":{\"annotations\":{\"" LAST_APPLIED_ANNOTATION
                          "\":{\"spec\":{\"password\":\"hunter2\"}}}}}");

    assert_json(gadget_text(&t.gadget), "{\"metadata\":{\"annotations\":{}}}");
    release(&t);
    t = take("{\"metadata\":{\"annotations\":[1]}}");
    release(&t);
    const char *removal = "{\"metadata\":{\"annotations\":{\"" LAST_APPLIED_ANNOTATION "\":null}}}";
    t = take(removal); /* a patch */
    assert_json(gadget_text(&t.gadget), removal);
    release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_absent_null_empty),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_all_of_equal_keys),
        cmocka_unit_test(test_annotation),
        cmocka_unit_test(test_hostile_annotations),
        cmocka_unit_test(test_deep_annotation),
        cmocka_unit_test(test_annotation_that_is_no_string),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
