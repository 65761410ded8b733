/* The kinds as they are shipped: what a client writes has bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "kinds/kind.h"
#include "kinds/schema_node.h"

/* A pattern that begins and ends, and repeats nothing without end, is a bound too; there are few. */
static bool is_bounded(const struct schema_node *n)
{
    if (n->has_max_length || n->allowed || n->output_only)
        return true;
    if (n->type == SCHEMA_STRING)
        return n->pattern_text && !strpbrk(n->pattern_text, "*+") && n->pattern_text[0] == '^';
    return n->type != SCHEMA_ARRAY && (n->type != SCHEMA_OBJECT || n->additional == NULL);
}

static void check(const struct schema_node *n, const char *path)
{
    if (n == NULL)
        return;
    if (!is_bounded(n))
        fail_msg("%s has no bound", path);
    for (size_t i = 0; i < n->properties_len; i++) {
        _cleanup_free_ char *below = xasprintf("%s.%s", path, n->properties[i].name.p);
        check(n->properties[i].node, below);
    }
    _cleanup_free_ char *inside = xasprintf("%s[]", path);
    check(n->items, inside);
    check(n->additional, inside);
}

static void test_what_clients_write_is_bounded(void **state)
{
    assert_true(kind_sources_len >= 3);
    for (size_t i = 0; i < kind_sources_len; i++) {
        struct kind *k = kind_load(kind_sources[i].yaml, kind_sources[i].name, NULL);
        assert_non_null(k);
        check(schema_node_child(k->root, STR("spec")), kind_sources[i].name);
        kind_free(k);
    }
}

/* Line feeds only where a text of several lines is meant. */
static void test_titles_are_one_line(void **state)
{
    static const char *const lines[] = {"openhydrauser.description", "sandbox.description", "sandbox.displayTitle",
                                        "openhydrauser.chineseName", "openhydrauser.email"};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct str rest = str_from(lines[i]), name;
        assert_true(str_split(&rest, '.', &name));
        for (size_t j = 0; j < kind_sources_len; j++) {
            if (!str_is(name, kind_sources[j].name))
                continue;
            struct kind *k = kind_load(kind_sources[j].yaml, kind_sources[j].name, NULL);
            const struct schema_node *n = schema_node_child(schema_node_child(k->root, STR("spec")), rest);
            assert_true(n->plain && n->has_max_length);
            assert_int_equal(n->lines, str_is(rest, "description"));
            kind_free(k);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_clients_write_is_bounded),
        cmocka_unit_test(test_titles_are_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
