#include "unit/model/gadget.h"

#include <stdlib.h>

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

/* What {"spec": SPEC} is refused with; NULL: it is right. */
static void check(const char *spec, const char *field, const char *reason, const char *message)
{
    _cleanup_free_ char *text = xasprintf("{\"metadata\":{\"name\":\"g\"},\"spec\":%s}", spec);
    struct gadget g = gadget_parse(text);
    _cleanup_error_ struct error *err = NULL;

    int rc = schema_validate(kind, g.object, &err);
    gadget_free(&g);
    if (field == NULL) {
        if (rc != 0)
            fail_msg("%s: %s", spec, err->message);
        return;
    }
    assert_int_equal(rc, -1);
    assert_int_equal(err->reason, REASON_INVALID);
    assert_int_equal(err->causes_len, 1);
    assert_string_equal(err->causes[0].field, field);
    assert_string_equal(err->causes[0].reason, reason);
    assert_string_equal(err->causes[0].message, message);
}

#define ok(spec) check(spec, NULL, NULL, NULL)

static void test_right(void **state)
{
    ok("{\"role\":1}");
    ok("{\"role\":2,\"color\":\"red\",\"size\":1,\"big\":-9223372036854775808,\"ratio\":0.5,\"word\":\"abcd\",\"when\":"
       "\"2026-01-02T03:04:05Z\"}");
    ok("{\"role\":2,\"tags\":[\"a\",\"\"],\"labels\":{\"x\":\"abc\"},\"port\":1,\"maybe\":null,\"free\":{\"x\":[1,{}]},"
       "\"any\":[null]}");
    ok("{\"role\":2,\"port\":\"http\",\"pattern\":\"\",\"parts\":[{\"name\":\"a\"}]}");
}

static void test_size_in_bytes(void **state)
{
    ok("{\"role\":1,\"small\":{\"a\":[1,23]}}");
    ok("{\"role\":1,\"small\":{ \"a\" : [ 1, 23 ] }}");
    check("{\"role\":1,\"small\":{\"a\":[1,234]}}", "spec.small", "FieldValueTooLong",
          "Too long: has 13 bytes of JSON; at most 12 are allowed");
    ok("{\"role\":1,\"short\":\"中\"}");
    check("{\"role\":1,\"short\":\"中x\"}", "spec.short", "FieldValueTooLong",
          "Too long: has 6 bytes of JSON; at most 5 are allowed");
}

static void test_types(void **state)
{
    const char *type = "FieldValueTypeInvalid";

    check("3", "spec", type, "Invalid value: \"integer\": spec in body must be of type object: \"integer\"");
    check("{\"role\":1,\"size\":\"3\"}", "spec.size", type,
          "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"");
    check("{\"role\":1,\"size\":3.5}", "spec.size", type,
          "Invalid value: \"number\": spec.size in body must be of type integer: \"number\"");
    check("{\"role\":1,\"flag\":0}", "spec.flag", type,
          "Invalid value: \"integer\": spec.flag in body must be of type boolean: \"integer\"");
    check("{\"role\":1,\"color\":null}", "spec.color", type,
          "Invalid value: \"null\": spec.color in body must be of type string: \"null\"");
    check("{\"role\":1,\"tags\":{}}", "spec.tags", type,
          "Invalid value: \"object\": spec.tags in body must be of type array: \"object\"");
    check("{\"role\":1,\"tags\":[\"a\",true]}", "spec.tags[1]", type,
          "Invalid value: \"boolean\": spec.tags[1] in body must be of type string: \"boolean\"");
    check("{\"role\":1,\"ratio\":[]}", "spec.ratio", type,
          "Invalid value: \"array\": spec.ratio in body must be of type number: \"array\"");
    check("{\"role\":1,\"port\":1.5}", "spec.port", type,
          "Invalid value: \"number\": spec.port in body must be of type integer,string: \"number\"");
    check("{\"role\":1,\"labels\":{\"k\":1}}", "spec.labels.k", type,
          "Invalid value: \"integer\": spec.labels.k in body must be of type string: \"integer\"");
    check("{\"role\":1,\"free\":{\"n\":\"x\"}}", "spec.free.n", type,
          "Invalid value: \"string\": spec.free.n in body must be of type integer: \"string\"");
}

static void test_required(void **state)
{
    check("{}", "spec.role", "FieldValueRequired", "Required value");
    check("{\"role\":1,\"parts\":[{\"name\":\"a\"},{}]}", "spec.parts[1].name", "FieldValueRequired", "Required value");
    struct gadget g = gadget_parse("{}");
    _cleanup_error_ struct error *err = NULL;
    assert_int_equal(schema_validate(kind, g.object, &err), -1);
    assert_string_equal(err->message, "spec: Required value");
    gadget_free(&g);
}

static void test_enum(void **state)
{
    check("{\"role\":3}", "spec.role", "FieldValueNotSupported",
          "Unsupported value: 3: supported values: \"1\", \"2\"");
    check("{\"role\":1,\"color\":\"blue\"}", "spec.color", "FieldValueNotSupported",
          "Unsupported value: \"blue\": supported values: \"red\", \"green\"");
}

static void test_numbers(void **state)
{
    const char *invalid = "FieldValueInvalid";

    check("{\"role\":1,\"size\":0}", "spec.size", invalid,
          "Invalid value: 0: spec.size in body should be greater than or equal to 1");
    check("{\"role\":1,\"size\":11}", "spec.size", invalid,
          "Invalid value: 11: spec.size in body should be less than or equal to 10");
    check("{\"role\":1,\"ratio\":0}", "spec.ratio", invalid,
          "Invalid value: 0: spec.ratio in body should be greater than 0");
    check("{\"role\":1,\"ratio\":1}", "spec.ratio", invalid,
          "Invalid value: 1: spec.ratio in body should be less than 1");
    check("{\"role\":1,\"big\":9223372036854775808}", "spec.big", invalid,
          "Invalid value: 9223372036854775808: spec.big in body must be of type int64");
    struct gadget g = gadget_parse("{\"spec\":{\"role\":2147483648}}");
    _cleanup_error_ struct error *err = NULL;
    assert_int_equal(schema_validate(kind, g.object, &err), -1);
    assert_int_equal(err->causes_len, 2);
    assert_string_equal(err->causes[1].message, "Invalid value: 2147483648: spec.role in body must be of type int32");
    gadget_free(&g);
}

static void test_strings(void **state)
{
    const char *invalid = "FieldValueInvalid";

    check("{\"role\":1,\"word\":\"a\"}", "spec.word", invalid,
          "Invalid value: \"a\": spec.word in body should be at least 2 chars long");
    check("{\"role\":1,\"word\":\"abcde\"}", "spec.word", "FieldValueTooLong",
          "Too long: may not be more than 4 characters");
    check("{\"role\":1,\"word\":\"ABC\"}", "spec.word", invalid,
          "Invalid value: \"ABC\": spec.word in body should match '^[a-z]+$'");
    check("{\"role\":1,\"word\":\"ab\\u0000\"}", "spec.word", invalid,
          "Invalid value: \"ab\\u0000\": spec.word in body should match '^[a-z]+$'");
    check("{\"role\":1,\"when\":\"yesterday\"}", "spec.when", invalid,
          "Invalid value: \"yesterday\": spec.when in body must be of type date-time");
}

/* Characters, not bytes: the names are Chinese. */
static void test_lengths_are_of_characters(void **state)
{
    ok("{\"role\":1,\"labels\":{\"k\":\"\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\"}}");
    check("{\"role\":1,\"labels\":{\"k\":\"\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe5\xad\x97\"}}", "spec.labels.k",
          "FieldValueTooLong", "Too long: may not be more than 3 characters");
}

/* Every string, wherever it stands, unless only the server writes it or nobody reads it. */
static void test_nothing_steers_a_terminal(void **state)
{
    static const struct {
        const char *spec, *field;
    } refused[] = {
        {"{\"role\":1,\"maybe\":\"a\\u001b[31m\"}", "spec.maybe"},
        {"{\"role\":1,\"maybe\":\"a\\nb\"}", "spec.maybe"},
        {"{\"role\":1,\"maybe\":\"\\u009b\"}", "spec.maybe"},
        {"{\"role\":1,\"maybe\":\"\\u202e\"}", "spec.maybe"},
        {"{\"role\":1,\"maybe\":\"\\u0000\"}", "spec.maybe"},
        {"{\"role\":1,\"note\":\"\\r\"}", "spec.note"},
        {"{\"role\":1,\"note\":\"\\u2028\"}", "spec.note"},
        {"{\"role\":1,\"tags\":[\"a\",\"\\u007f\"]}", "spec.tags[1]"},
        {"{\"role\":1,\"port\":\"\\u0007\"}", "spec.port"},
        {"{\"role\":1,\"parts\":[{\"name\":\"\\u2066\"}]}", "spec.parts[0].name"},
        {"{\"role\":1,\"labels\":{\"a\\u001b\":\"b\"}}", "spec.labels"},
        {"{\"role\":1,\"free\":{\"x\":[{\"y\":\"\\u001b\"}]}}", "spec.free.x[0].y"},
        {"{\"role\":1,\"any\":[\"\\u001b\"]}", "spec.any[0]"},
        {"{\"role\":1,\"any\":{\"a\":{\"\\u001b\":1}}}", "spec.any.a"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *text = xasprintf("{\"metadata\":{\"name\":\"g\"},\"spec\":%s}", refused[i].spec);
        struct gadget g = gadget_parse(text);
        _cleanup_error_ struct error *err = NULL;
        if (schema_validate(kind, g.object, &err) == 0)
            fail_msg("%s is taken", refused[i].spec);
        assert_string_equal(err->causes[0].field, refused[i].field);
        assert_string_equal(err->causes[0].reason, "FieldValueInvalid");
        gadget_free(&g);
    }
    ok("{\"role\":1,\"note\":\"a\\n\\tb\",\"any\":\"a\\nb\",\"url\":\"\\u001b\",\"password\":\"\\u001b\"}");
}

static void test_sizes(void **state)
{
    check("{\"role\":1,\"tags\":[]}", "spec.tags", "FieldValueInvalid",
          "Invalid value: [...]: spec.tags in body should have at least 1 items");
    check("{\"role\":1,\"tags\":[\"\",\"\",\"\",\"\"]}", "spec.tags", "FieldValueTooMany",
          "Too many: 4: must have at most 3 items");
    check("{\"role\":1,\"labels\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}", "spec.labels", "FieldValueTooMany",
          "Too many: 3: must have at most 2 items");
}

/* A value in a message is cut, between characters; a pattern is not tried on what could take it long. */
static void test_long_values(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);
    _cleanup_error_ struct error *err = NULL;

    buffer_puts(&b, "{\"spec\":{\"role\":1,\"pattern\":\"");
    for (int i = 0; i < SCHEMA_MAX_REPORTS * 50; i++)
        buffer_puts(&b, "\xe4\xb8\xad");
    buffer_puts(&b, "\"}}");
    struct gadget g = gadget_parse(b.p);
    assert_int_equal(schema_validate(kind, g.object, &err), -1);
    assert_true(strlen(err->message) < 500);
    assert_non_null(strstr(err->message, "\xe4\xb8\xad\"...: spec.pattern"));
    gadget_free(&g);

    buffer_clear(&b);
    buffer_puts(&b, "{\"spec\":{\"role\":1,\"pattern\":\"");
    for (int i = 0; i < 5000; i++)
        buffer_puts(&b, "a");
    buffer_puts(&b, "\"}}");
    g = gadget_parse(b.p);
    assert_int_equal(schema_validate(kind, g.object, NULL), -1);
    gadget_free(&g);
}

static void test_findings_are_limited(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);
    _cleanup_error_ struct error *err = NULL;

    buffer_puts(&b, "{\"spec\":{\"role\":1,\"parts\":[{}");
    for (int i = 0; i < 10000; i++)
        buffer_puts(&b, ",{}");
    buffer_puts(&b, "]}}");
    struct gadget g = gadget_parse(b.p);
    assert_int_equal(schema_validate(kind, g.object, &err), -1);
    assert_int_equal(err->causes_len, SCHEMA_MAX_REPORTS);
    gadget_free(&g);
}

static void test_write_only_values_stay_out_of_messages(void **state)
{
    struct gadget g = gadget_parse("{\"spec\":{\"role\":1,\"password\":\"hunter2hunter2hunter2\"}}");
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(schema_validate(kind, g.object, &err), -1);
    assert_null(strstr(err->message, "hunter2"));
    gadget_free(&g);
}

static void test_prefix(void **state)
{
    _cleanup_error_ struct error *err = NULL;

    error_add_cause(&err, "spec.role", "FieldValueRequired", "Required value");
    schema_invalid_prefix(err, kind, "g");
    assert_string_equal(err->message, "Gadget.example.org \"g\" is invalid: spec.role: Required value");
    error_add_cause(&err, "spec.x", "FieldValueInvalid", "no");
    schema_invalid_prefix(err, kind, NULL);
    assert_string_equal(err->message, "Gadget.example.org \"\" is invalid: [spec.role: Required value, spec.x: no]");
    schema_invalid_prefix(NULL, kind, "g");
}

static void test_one_value(void **state)
{
    struct gadget g = gadget_parse("\"blue\"");
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(schema_validate_at(kind, "spec.color", g.object, &err), -1);
    assert_string_equal(err->causes[0].field, "spec.color");
    assert_int_equal(schema_validate_at(kind, "spec.maybe", g.object, NULL), 0);
    gadget_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_size_in_bytes),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_enum),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_lengths_are_of_characters),
        cmocka_unit_test(test_nothing_steers_a_terminal),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_findings_are_limited),
        cmocka_unit_test(test_write_only_values_stay_out_of_messages),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_one_value),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
