/* JSON and YAML with their limits; files replaced as a whole. */
#include "base/io.h"
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

/* Whoever forgets to clean what a program said ends nobody. */
static void json_is_written_whatever_was_put_in(void **state)
{
    _cleanup_free_ char *out = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    size_t n;

    yyjson_mut_doc_set_root(doc, yyjson_mut_arr(doc));
    yyjson_mut_arr_add_strcpy(doc, yyjson_mut_doc_get_root(doc), "\xe4\xb8\xad \xe4\xb8 \xff\n");
    out = json_mut_write(yyjson_mut_doc_get_root(doc), &n);
    assert_string_equal(out, "[\"\xe4\xb8\xad ?? ?\\n\"]");
    assert_int_equal(n, strlen(out));
    yyjson_mut_doc_free(doc);
}

static void json_limits_depth(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1000000);
    struct error *err = NULL;

    for (int i = 0; i < 100000; i++)
        buffer_puts(&b, "[");
    assert_null(json_parse(buffer_str(&b), &err));
    assert_non_null(strstr(err->message, "nested"));
    error_free(err);
    /* Brackets inside strings do not count. */
    buffer_clear(&b);
    buffer_puts(&b, "\"");
    for (int i = 0; i < 1000; i++)
        buffer_puts(&b, "[\\\"");
    buffer_puts(&b, "\"");
    yyjson_doc *doc = json_parse(buffer_str(&b), NULL);
    assert_non_null(doc);
    yyjson_doc_free(doc);
}

static void json_walks_paths(void **state)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(STR("{\"a\":{\"b\":{\"c\":\"x\",\"n\":-7,\"t\":true}}}"), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);

    assert_string_equal(json_str_at(root, "a.b.c"), "x");
    assert_null(json_str_at(root, "a.x.c"));
    assert_int_equal(json_int_at(root, "a.b.n", 0), -7);
    assert_int_equal(json_int_at(root, "a.b.c", 5), 5);
    assert_true(json_bool_at(root, "a.b.t", false));

    _cleanup_json_mut_ yyjson_mut_doc *m = yyjson_doc_mut_copy(doc, NULL);
    yyjson_mut_val *r = yyjson_mut_doc_get_root(m);
    json_mut_set_int(m, json_mut_make_obj(m, r, "a.z.y"), "k", 3);
    json_mut_set_str(m, json_mut_at(r, "a.b"), "c", NULL);
    size_t n;
    _cleanup_free_ char *text = json_mut_write(r, &n);
    assert_string_equal(text, "{\"a\":{\"b\":{\"n\":-7,\"t\":true},\"z\":{\"y\":{\"k\":3}}}}");
}

static char *yaml_as_json(const char *text)
{
    _cleanup_json_ yyjson_doc *doc = yaml_parse(str_from(text), NULL, NULL);
    size_t n;
    return doc ? json_write(yyjson_doc_get_root(doc), &n) : NULL;
}

static void yaml_follows_kubectl(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"a: 1\nb: \"1\"\nc: yes\nd: ~\ne: 'no'\n", "{\"a\":1,\"b\":\"1\",\"c\":true,\"d\":null,\"e\":\"no\"}"},
        {"a: [1, 2.5, x]\n", "{\"a\":[1,2.5,\"x\"]}"},
        {"a: -3\nb: 0x10\nc: 1e3\nd: 1.2.3\n", "{\"a\":-3,\"b\":16,\"c\":1000.0,\"d\":\"1.2.3\"}"},
        {"a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"},
        {"a: 0b101\nb: 017\nc: 0o17\nd: -0x10\ne: +4\nf: 0\n", "{\"a\":5,\"b\":15,\"c\":15,\"d\":-16,\"e\":4,\"f\":0}"},
        {"a: 0b2\nb: 0x\nc: 0b\nd: 0b0b1\ne: 08\nf: 0o8\ng: +-1\n",
         "{\"a\":\"0b2\",\"b\":\"0x\",\"c\":\"0b\",\"d\":\"0b0b1\",\"e\":8.0,\"f\":\"0o8\",\"g\":\"+-1\"}"},
        {"a: 18446744073709551615\nb: -9223372036854775808\n",
         "{\"a\":18446744073709551615,\"b\":-9223372036854775808}"},
        {"a: !!str 1\nb: ! 1\nc: !!str\n", "{\"a\":\"1\",\"b\":\"1\",\"c\":\"\"}"},
        {"- - 1\n  - x: {y: [{}, []]}\n- ? k\n  : v\n", "[[1,{\"x\":{\"y\":[{},[]]}}],{\"k\":\"v\"}]"},
        {"a:\n  b: 1\nc: 2\n", "{\"a\":{\"b\":1},\"c\":2}"},
        {"a: 1\na: 2\n", "{\"a\":1,\"a\":2}"},
        {"\xef\xbb\xbf"
         "a: 1\n",
         "{\"a\":1}"},
        {"%YAML 1.1\n--- \na: '%TAG'\n...\n", "{\"a\":\"%TAG\"}"},
        {"a:\n", "{\"a\":null}"},
        {"", "null"},
        {"# nothing\n", "null"},
        {"---\n", "null"},
        {"---\na: 1\n", "{\"a\":1}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *json = yaml_as_json(cases[i].yaml);
        assert_non_null(json);
        assert_string_equal(json, cases[i].json);
    }
}

static void yaml_refuses(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"a: [1\n", "line 2"},
        {"a: 1\n---\nb: 2\n", "more than one"},
        {"a: 1\n<<: {b: 2}\n", "key"},
        {"? [a]\n: b\n", "key"},
        {"{[a]: b}\n", "key"},
        {"a: 1\n---\n", "more than one"},
        {"---\n---\na: 1\n", "more than one"},
        {"a: &x 1\n", "anchors"},
        {"a: &x [1]\n", "anchors"},
        {"a: &x {b: 1}\n", "anchors"},
        {"&x a: 1\n", "anchors"},
        {"a: *x\n", "aliases"},
        {"a: !!int '1'\n", "tags"},
        {"a: !!map {}\n", "tags"},
        {"a: !x [1]\n", "tags"},
        {"%TAG !a! b\n---\na: 1\n", "%TAG"},
        {"a: 1\n...\n%TAG !a! b\n---\n", "%TAG"},
        {"\xc2\x85%TAG !a! b\n--- 1\n", "%TAG"},
        {"a: 1\r...\r%TAG !a! b\r--- 1\r", "%TAG is not accepted"},
        {"a: \xff\n", "not YAML"},
        {"\xff\xfe"
         "a\0:\0",
         "not YAML"}, /* UTF-16 */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error *err = NULL;
        assert_null(yaml_parse(str_from(cases[i].yaml), NULL, &err));
        assert_non_null(strstr(err->message, cases[i].says));
        error_free(err);
    }
}

static struct buffer repeated(const char *first, const char *piece, size_t n, const char *last)
{
    struct buffer b = BUFFER_MAX((size_t)4 << 20);

    buffer_puts(&b, first);
    for (size_t i = 0; i < n; i++)
        buffer_puts(&b, piece);
    buffer_puts(&b, last);
    return b;
}

/* What took libyaml seconds to hours is refused at its 65th level, its first anchor, its first byte too many. */
static void yaml_bounds_what_it_reads(void **state)
{
    static const struct {
        const char *first, *piece, *last;
        size_t n;
        const char *says; /* NULL: it is read */
    } cases[] = {
        {"", "[", "", 200000, "nested"},
        {"", "{a: ", "", 60000, "nested"},
        {"", "- ", "", 100000, "nested"},
        {"", "? ", "", 100000, "key"},
        {"a: ", "[{b: ", "", 50000, "nested"},
        {"", "[", "", JSON_MAX_DEPTH + 1, "nested"},
        {"[", "0,", "0]", 49998, NULL},
        {"[", "0,", "0]", 50001, "too many values"},
        {"a:", " ", "b\n", 1024, NULL},
        {"a:", " ", "b\n", 1025, "blanks in a row"},
        {"a", "\n", "", 1025, "blanks in a row"},
        {"a", "\xc2\x85", "", 1025, "blanks in a row"},
        {"a", "\xe2\x80\xa8", "", 1025, "blanks in a row"},
        {"", "---\n", "", 50000, "more than one"},
        {"", "%TAG !a! b\n", "--- 1\n", 20000, "%TAG"},
        {"# ", "x", "\na: 1\n", 200000, NULL},
        {"a: ", "x", "\n", YAML_MAX - 4, NULL},
        {"a: ", "x", "\n", YAML_MAX - 3, "send JSON"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer b = repeated(cases[i].first, cases[i].piece, cases[i].n, cases[i].last);
        _cleanup_error_ struct error *err = NULL;
        _cleanup_json_ yyjson_doc *doc = yaml_parse(buffer_str(&b), NULL, &err);
        assert_int_equal(doc == NULL, cases[i].says != NULL);
        if (cases[i].says)
            assert_non_null(strstr(err->message, cases[i].says));
    }
}

static void yaml_is_as_deep_as_json(void **state)
{
    _cleanup_buffer_ struct buffer open = repeated("", "[", JSON_MAX_DEPTH, ""),
                                   close = repeated("", "]", JSON_MAX_DEPTH, "");

    buffer_add(&open, buffer_str(&close));
    _cleanup_json_ yyjson_doc *yaml = yaml_parse(buffer_str(&open), NULL, NULL),
                              *json = json_parse(buffer_str(&open), NULL);
    assert_true(json_equal(yyjson_doc_get_root(yaml), yyjson_doc_get_root(json)));
}

static void yaml_too_large_is_said_so(void **state)
{
    _cleanup_buffer_ struct buffer b = repeated("a: ", "x", YAML_MAX, "");
    _cleanup_error_ struct error *err = NULL;

    assert_null(yaml_parse(buffer_str(&b), NULL, &err));
    assert_int_equal(err->reason, REASON_REQUEST_TOO_LARGE);
    assert_non_null(strstr(err->message, "262144"));
}

static void yaml_knows_lines(void **state)
{
    struct map *lines;
    _cleanup_json_ yyjson_doc *doc = yaml_parse(STR("a: 1\nb:\n  c: 2\n  d:\n  - e: 3\n"), &lines, NULL);

    assert_non_null(doc);
    assert_int_equal((uintptr_t)map_get(lines, STR("b.c")), 3);
    assert_int_equal((uintptr_t)map_get(lines, STR("b.d[0].e")), 5);
    map_free(lines, NULL);

    /* A path that is too long is left out; what comes after it is not. */
    _cleanup_buffer_ struct buffer b = repeated("a:\n  ", "k", 400, ": {x: 1}\n  b: [1, {c: 2}]\n");
    _cleanup_json_ yyjson_doc *other = yaml_parse(buffer_str(&b), &lines, NULL);
    assert_non_null(other);
    assert_int_equal((uintptr_t)map_get(lines, STR("a.b[1].c")), 3);
    assert_int_equal(map_size(lines), 3);
    map_free(lines, NULL);
}

static void files_are_replaced_as_a_whole(void **state)
{
    char folder[] = "/tmp/open-hydra-test-XXXXXX";
    struct error *err = NULL;
    size_t n;

    assert_non_null(mkdtemp(folder));
    _cleanup_free_ char *deep = xasprintf("%s/x/y", folder), *file = xasprintf("%s/f", deep);
    assert_int_equal(make_directory(deep, 0700, &err), 0);
    assert_int_equal(make_directory(deep, 0700, &err), 0);
    assert_int_equal(write_file_atomic(file, STR("one"), 0600, &err), 0);
    assert_int_equal(write_file_atomic(file, STR("two"), 0640, &err), 0);
    _cleanup_free_ char *text = read_file(file, 100, &n, &err);
    assert_string_equal(text, "two");
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_null(read_file(file, 2, &n, &err));
    assert_non_null(strstr(err->message, "larger"));
    error_free(err);
    err = NULL;
    assert_int_equal(write_file_atomic(folder, STR("x"), 0600, &err), -1);
    error_free(err);

    _cleanup_free_ char *remove = xasprintf("%s/x/y/f", folder), *y = xasprintf("%s/x/y", folder),
                        *x = xasprintf("%s/x", folder);
    unlink(remove);
    rmdir(y);
    rmdir(x);
    rmdir(folder);
}

static void test_numbers_that_are_set_look_like_those_that_are_read(void **state)
{
    _cleanup_json_mut_ yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *r = yyjson_mut_obj(m);

    json_mut_set_int(m, r, "plus", 1);
    json_mut_set_int(m, r, "minus", -1);
    assert_true(yyjson_mut_is_uint(yyjson_mut_obj_get(r, "plus")));
    assert_true(yyjson_mut_is_sint(yyjson_mut_obj_get(r, "minus")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_that_are_set_look_like_those_that_are_read),
        cmocka_unit_test(json_is_written_whatever_was_put_in),
        cmocka_unit_test(json_limits_depth),
        cmocka_unit_test(json_walks_paths),
        cmocka_unit_test(yaml_follows_kubectl),
        cmocka_unit_test(yaml_refuses),
        cmocka_unit_test(yaml_bounds_what_it_reads),
        cmocka_unit_test(yaml_is_as_deep_as_json),
        cmocka_unit_test(yaml_too_large_is_said_so),
        cmocka_unit_test(yaml_knows_lines),
        cmocka_unit_test(files_are_replaced_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
