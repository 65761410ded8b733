#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "kinds/schema_node.h"

struct compiled {
    struct arena *arena;
    yyjson_doc *doc;
    const struct schema_node *node;
    struct error *err;
};

static struct compiled compile(const char *text)
{
    struct compiled c = {.arena = arena_new()};

    c.doc = json_parse(str_from(text), &c.err);
    assert_non_null(c.doc);
    c.node = schema_node_compile(c.arena, yyjson_doc_get_root(c.doc), "X", true, &c.err);
    return c;
}

static void release(struct compiled *c)
{
    arena_free(c->arena);
    yyjson_doc_free(c->doc);
    error_free(c->err);
}

static void refused(const char *text, const char *why)
{
    struct compiled c = compile(text);

    assert_null(c.node);
    assert_int_equal(c.err->reason, REASON_INVALID);
    if (!strstr(c.err->message, why))
        fail_msg("«%s» does not say «%s»", c.err->message, why);
    release(&c);
}

static void test_everything(void **state)
{
    struct compiled c = compile(
        "{\"type\":\"object\",\"required\":[\"a\"],\"maxProperties\":3,\"properties\":{"
        "\"a\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":9,\"pattern\":\"^[a-z]+$\",\"default\":\"x\"},"
        "\"b\":{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":0,\"maximum\":5,\"exclusiveMaximum\":true},"
        "\"c\":{\"x-kubernetes-int-or-string\":true,\"anyOf\":[{\"type\":\"integer\"}]},"
        "\"d\":{\"x-kubernetes-preserve-unknown-fields\":true}},"
        "\"additionalProperties\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"boolean\",\"nullable\":true}"
        "}}");
    const struct schema_node *n = c.node;

    assert_non_null(n);
    assert_int_equal(n->properties_len, 4);
    assert_true(n->properties[0].required);
    assert_false(n->properties[1].required);
    assert_int_equal(n->max_length, 3);
    const struct schema_node *a = schema_node_child(n, STR("a")), *b = schema_node_child(n, STR("b"));
    assert_int_equal(a->min_length, 1);
    assert_non_null(a->pattern);
    assert_string_equal(yyjson_get_str(a->fallback), "x");
    assert_null(b->fallback);
    assert_int_equal(b->format, SCHEMA_FORMAT_INT32);
    assert_true(b->exclusive_maximum && b->has_minimum && b->has_maximum);
    assert_int_equal(schema_node_child(n, STR("c"))->type, SCHEMA_INT_OR_STRING);
    assert_int_equal(schema_node_child(n, STR("d"))->type, SCHEMA_ANY);
    assert_true(schema_node_child(n, STR("other"))->items->nullable);
    release(&c);
}

static void test_refusals(void **state)
{
    refused("[]", "no object");
    refused("{}", "needs a type");
    refused("{\"type\":\"thing\"}", "needs a type");
    refused("{\"type\":\"string\",\"oneOf\":[]}", "oneOf is not supported");
    refused("{\"type\":\"string\",\"anyOf\":[]}", "anyOf is not supported");
    refused("{\"type\":\"object\",\"x-kubernetes-validations\":[]}", "not supported");
    refused("{\"type\":\"string\",\"x-kubernetes-int-or-string\":true}", "no type");
    refused("{\"type\":\"string\",\"format\":\"int32\"}", "format");
    refused("{\"type\":\"integer\",\"format\":\"date-time\"}", "format");
    refused("{\"type\":\"string\",\"maxLength\":-1}", "maxLength");
    refused("{\"type\":\"integer\",\"minimum\":\"0\"}", "minimum");
    refused("{\"type\":\"array\"}", "items");
    refused("{\"type\":\"string\",\"items\":{\"type\":\"string\"}}", "items");
    refused("{\"type\":\"string\",\"properties\":{}}", "only objects");
    refused("{\"type\":\"object\",\"required\":[\"a\"]}", "not among");
    refused("{\"type\":\"object\",\"required\":\"a\"}", "a list");
    refused("{\"type\":\"string\",\"enum\":[]}", "enum");
    refused("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"x\"}}}}", "X.a[]");
    refused("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"x\"}}", "X[*]");
}

static void test_patterns(void **state)
{
    static const char *const good[] = {
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "^/[^:]*$", "\\\\.", "a{1,3}", "[[:alpha:]]", "(a|b)+"};
    static const char *const bad[] = {"\\\\d+",  "(?:a)",    "(?i)a", "a*?", "a+?",   "a{2}?", "a++",
                                      "[\\\\w]", "(a)\\\\1", "(a",    "[a",  "a\\\\", "[]a]"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_free_ char *text = xasprintf("{\"type\":\"string\",\"pattern\":\"%s\"}", good[i]);
        struct compiled c = compile(text);
        if (c.node == NULL)
            fail_msg("%s", c.err->message);
        release(&c);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *text = xasprintf("{\"type\":\"string\",\"pattern\":\"%s\"}", bad[i]);
        refused(text, "pattern");
    }
    refused("{\"type\":\"integer\",\"pattern\":\"a\"}", "pattern");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
