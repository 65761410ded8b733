#include "unit/model/gadget.h"

#include "server/model/selector.h"

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

static bool matches(const char *text, const char *labels)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_free_ char *json = xasprintf("{\"metadata\":{\"labels\":%s}}", labels);
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(json), NULL);
    _cleanup_error_ struct error *err = NULL;
    const struct selector *s;

    if (selector_parse(a, text, &s, &err) < 0)
        fail_msg("%s: %s", text, err->message);
    return selector_matches(s, yyjson_doc_get_root(doc));
}

static void refused(const char *text, const char *why)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *err = NULL;
    const struct selector *s;

    if (selector_parse(a, text, &s, &err) == 0)
        fail_msg("%s", text);
    assert_int_equal(err->reason, REASON_BAD_REQUEST);
    if (!strstr(err->message, why))
        fail_msg("«%s» does not say «%s»", err->message, why);
}

static void test_everything(void **state)
{
    assert_true(matches("", "{}"));
    assert_true(matches(NULL, "null"));
    assert_true(matches("  ", "{\"a\":\"b\"}"));
}

static void test_equality(void **state)
{
    assert_true(matches("a=b", "{\"a\":\"b\"}"));
    assert_true(matches("a==b", "{\"a\":\"b\"}"));
    assert_true(matches(" a = b , c!=d ", "{\"a\":\"b\",\"c\":\"e\"}"));
    assert_false(matches("a=b", "{\"a\":\"c\"}"));
    assert_false(matches("a=b", "{}"));
    assert_true(matches("a!=b", "{}"));
    assert_false(matches("a!=b", "{\"a\":\"b\"}"));
    assert_true(matches("a=", "{\"a\":\"\"}"));
    assert_true(matches("a=,b=c", "{\"a\":\"\",\"b\":\"c\"}"));
    assert_false(matches("a=b,c=d", "{\"a\":\"b\"}"));
    assert_true(matches("example.org/x=y", "{\"example.org/x\":\"y\"}"));
}

static void test_sets(void **state)
{
    assert_true(matches("e in (x,y)", "{\"e\":\"y\"}"));
    assert_true(matches("e in( x , y )", "{\"e\":\"x\"}"));
    assert_false(matches("e in (x,y)", "{\"e\":\"z\"}"));
    assert_false(matches("e in (x,y)", "{}"));
    assert_true(matches("e notin (x)", "{}"));
    assert_true(matches("e notin (x)", "{\"e\":\"y\"}"));
    assert_false(matches("e notin (x)", "{\"e\":\"x\"}"));
    assert_true(matches("e in (x,)", "{\"e\":\"\"}"));
    assert_true(matches("e in ()", "{\"e\":\"\"}"));
    assert_true(matches("in in (in,notin)", "{\"in\":\"notin\"}"));
}

static void test_existence_and_order(void **state)
{
    assert_true(matches("g", "{\"g\":\"\"}"));
    assert_false(matches("g", "{}"));
    assert_true(matches("!h", "{}"));
    assert_false(matches("! h", "{\"h\":\"\"}"));
    assert_true(matches("n>5", "{\"n\":\"6\"}"));
    assert_false(matches("n>5", "{\"n\":\"5\"}"));
    assert_true(matches("n<0", "{\"n\":\"-3\"}"));
    assert_false(matches("n<5", "{\"n\":\"x\"}"));
    assert_false(matches("n<5", "{}"));
    assert_true(matches("a=b,c!=d,e in (x,y),f notin (z),g,!h", "{\"a\":\"b\",\"e\":\"x\",\"g\":\"1\"}"));
}

static void test_refusals(void **state)
{
    refused("a=b,", "found ''");
    refused(",a=b", "found ','");
    refused("a=b c", "found 'c'");
    refused("a b", "found 'b', expected: in, notin, =, ==, !=");
    refused("a in x", "expected: '('");
    refused("a in (x", "expected: ',' or ')'");
    refused("a in (x y)", "found 'y'");
    refused("!", "identifier");
    refused("!a=b", "found '='");
    refused("a=b=c", "found '='");
    refused("a=(b)", "found '('");
    refused("-a=b", "key: Invalid value: \"-a\"");
    refused("a=b!", "found '!'");
    refused("a=-b", "values: Invalid value: \"-b\"");
    refused("a>x", "an integer");
    refused("()", "found '('");
    refused("a in (\xff)", "values");

    _cleanup_buffer_ struct buffer b = BUFFER_MAX(2 * SELECTOR_MAX);
    for (int i = 0; i < SELECTOR_MAX; i++)
        buffer_puts(&b, "a");
    buffer_puts(&b, "a");
    refused(b.p, "longer than");
}

static const char *field(struct arena *a, const char *text, const struct field_selector **s)
{
    struct error *err = NULL;

    if (field_selector_parse(a, kind, text, s, &err) == 0)
        return NULL;
    assert_int_equal(err->reason, REASON_BAD_REQUEST);
    const char *message = arena_strdup(a, err->message);
    error_free(err);
    return message;
}

static void test_fields(void **state)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const struct field_selector *s;

    assert_null(field(a, "metadata.name=x", &s));
    assert_true(field_selector_matches(s, "x", NULL));
    assert_false(field_selector_matches(s, "y", NULL));
    assert_string_equal(field_selector_name(s), "x");
    assert_null(field(a, "metadata.name==x,metadata.name!=y", &s));
    assert_string_equal(field_selector_name(s), "x");
    assert_null(field(a, "metadata.name!=y,metadata.name!=z", &s));
    assert_null(field_selector_name(s));
    assert_true(field_selector_matches(s, "x", NULL));
    assert_false(field_selector_matches(s, "y", NULL));
    assert_null(field(a, "metadata.name=x,metadata.name=y", &s));
    assert_false(field_selector_matches(s, "x", NULL));
    assert_null(field(a, "metadata.name=", &s));
    assert_false(field_selector_matches(s, "x", NULL));
    assert_null(field(a, "", &s));
    assert_null(s);
    assert_null(field(a, NULL, &s));
    assert_true(field_selector_matches(s, "x", NULL));
    assert_string_equal(field(a, "metadata.namespace=default", &s), "field label not supported: metadata.namespace");
    assert_string_equal(field(a, "status.phase!=x", &s), "field label not supported: status.phase");
    assert_string_equal(field(a, "=x", &s), "field label not supported: ");
    assert_non_null(strstr(field(a, "metadata.name", &s), "can't understand 'metadata.name'"));
}

static bool field_matches(const char *text, const char *json)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(json), NULL);
    const struct field_selector *s;

    assert_null(field(a, text, &s));
    assert_true(field_selector_reads_object(s));
    return field_selector_matches(s, "n", yyjson_doc_get_root(doc));
}

static void test_selectable_fields(void **state)
{
    const char *red = "{\"spec\":{\"color\":\"red\",\"size\":3},\"status\":{\"ready\":true}}";
    _cleanup_arena_ struct arena *a = arena_new();
    const struct field_selector *s;

    assert_true(field_matches("spec.color=red", red));
    assert_false(field_matches("spec.color!=red", red));
    assert_false(field_matches("spec.color=green", red));
    assert_true(field_matches("spec.size=3", red));
    assert_true(field_matches("spec.size=-3", "{\"spec\":{\"size\":-3}}"));
    assert_false(field_matches("spec.size=30", red));
    assert_true(field_matches("status.ready=true", red));
    assert_false(field_matches("status.ready=false", red));
    assert_true(field_matches("spec.color=red,status.ready==true,metadata.name=n", red));
    assert_false(field_matches("spec.color=red,metadata.name=m", red));
    /* What is not there is the empty text. */
    assert_true(field_matches("spec.color=", "{}"));
    assert_false(field_matches("spec.color=red", "{}"));
    assert_null(field(a, "metadata.name=x", &s));
    assert_false(field_selector_reads_object(s));
    assert_null(field(a, "spec.color=x", &s));
    assert_null(field_selector_name(s));
    assert_string_equal(field(a, "spec.word=x", &s), "field label not supported: spec.word");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),          cmocka_unit_test(test_equality), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_existence_and_order), cmocka_unit_test(test_refusals), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_selectable_fields),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
