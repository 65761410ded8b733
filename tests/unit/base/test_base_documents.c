/* JSON and YAML with their limits; files replaced as a whole; workers. */
#include "base/io.h"
#include "base/workers.h"
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

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
        {"base: &b {x: 1}\nother: *b\n", "{\"base\":{\"x\":1},\"other\":{\"x\":1}}"},
        {"", "null"},
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
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error *err = NULL;
        assert_null(yaml_parse(str_from(cases[i].yaml), NULL, &err));
        assert_non_null(strstr(err->message, cases[i].says));
        error_free(err);
    }
}

static void yaml_stops_alias_bombs(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(10000);
    struct error *err = NULL;

    buffer_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++)
        buffer_printf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                      i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_null(yaml_parse(buffer_str(&b), NULL, &err));
    assert_non_null(strstr(err->message, "too large"));
    error_free(err);
}

static void yaml_knows_lines(void **state)
{
    struct map *lines;
    _cleanup_json_ yyjson_doc *doc = yaml_parse(STR("a: 1\nb:\n  c: 2\n  d:\n  - e: 3\n"), &lines, NULL);

    assert_non_null(doc);
    assert_int_equal((uintptr_t)map_get(lines, STR("b.c")), 3);
    assert_int_equal((uintptr_t)map_get(lines, STR("b.d[0].e")), 5);
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

static atomic_int done;

static void work(void *arg)
{
    atomic_fetch_add(&done, 1);
}

static void workers_finish_what_was_taken(void **state)
{
    struct workers *w = workers_new("test", 2, 1000);
    int taken = 0;

    for (int i = 0; i < 500; i++)
        taken += workers_submit(w, work, NULL) == 0;
    workers_free(w);
    assert_int_equal(taken, 500);
    assert_int_equal(atomic_load(&done), 500);
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
        cmocka_unit_test(json_limits_depth),
        cmocka_unit_test(json_walks_paths),
        cmocka_unit_test(yaml_follows_kubectl),
        cmocka_unit_test(yaml_refuses),
        cmocka_unit_test(yaml_stops_alias_bombs),
        cmocka_unit_test(yaml_knows_lines),
        cmocka_unit_test(files_are_replaced_as_a_whole),
        cmocka_unit_test(workers_finish_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
