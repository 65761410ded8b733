/* What a name in an archive becomes. Whole archives: tests/content. */
#include "unpack/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attributes.h"
#include "base/str.h"
#include "unpack/kind.h"

static struct names names;

static const struct {
    const char *raw, *path; /* NULL: refused, */
    const char *why;        /* with this text */
} cases[] = {
    {"a/b.txt", "a/b.txt", NULL},
    {"/a//./b/", "a/b", NULL},
    {"./", "", NULL},
    {"...", "...", NULL},
    {"\xD6\xD0\xCE\xC4/a", "中文/a", NULL},
    {"中文", "中文", NULL},
    {"\xC1\xAA\xCD\xA8", "联通", NULL},    /* overlong as UTF-8 */
    {"\x81\x30\x81\x30", NULL, "control"}, /* U+0080 */
    {"..", NULL, "leads out"},
    {"a/../b", NULL, "leads out"},
    {"a/..", NULL, "leads out"},
    {"\xFF", NULL, "neither UTF-8 nor GB18030"},
    {"a\x80", NULL, "neither UTF-8 nor GB18030"},
    {"a\tb", NULL, "control"},
    {"\xE2\x80\xAE", NULL, "control"},
};

static void test_what_a_name_becomes(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct entry_path path;
        struct error *err = NULL;
        int rc = names_read(&names, cases[i].raw, false, &path, &err);
        assert_int_equal(rc, cases[i].why ? -1 : 0);
        if (cases[i].why)
            assert_non_null(strstr(err->message, cases[i].why));
        else
            assert_string_equal(path.text, cases[i].path);
        error_free(err);
    }
}

static void test_depth_is_counted(void **state)
{
    struct entry_path path;

    assert_int_equal(names_read(&names, "/a/./b//c/", false, &path, NULL), 0);
    assert_int_equal(path.depth, 3);
    assert_int_equal(names_read(&names, "//", false, &path, NULL), 0);
    assert_int_equal(path.depth, 0);
}

static void test_backslash_is_a_slash_in_zip_alone(void **state)
{
    struct entry_path path;

    assert_int_equal(names_read(&names, "a\\b", true, &path, NULL), 0);
    assert_string_equal(path.text, "a/b");
    assert_int_equal(names_read(&names, "a\\b", false, &path, NULL), 0);
    assert_string_equal(path.text, "a\\b");
    /* The second byte of a Chinese character (0x81 0x5C) is none. */
    assert_int_equal(names_read(&names, "\x81\x5C", true, &path, NULL), 0);
    assert_string_equal(path.text, "乗");
    assert_int_equal(names_read(&names, "..\\x", true, &path, NULL), -1);
}

static void test_longest(void **state)
{
    struct entry_path path;
    char raw[PATH_MAX + 2];

    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = i % 200 == 199 ? '/' : 'x';
    raw[PATH_MAX - 1] = '\0';
    assert_int_equal(names_read(&names, raw, false, &path, NULL), 0);
    assert_int_equal(strlen(path.text), PATH_MAX - 1);
    raw[PATH_MAX - 1] = 'x';
    raw[PATH_MAX] = '\0';
    assert_int_equal(names_read(&names, raw, false, &path, NULL), -1);
}

static void test_which_names_are_archives(void **state)
{
    static const char *const archives[] = {"a.zip",    "A.ZIP", "a.7z",      "a.tar",
                                           "a.tar.gz", "a.tgz", "a.Tar.Zst", "a.tbz2"};
    static const char *const files[] = {"a.gz", "a.xlsx", "zip", "a.zip.part", "a.npz", "", "tar"};

    for (size_t i = 0; i < ARRAY_SIZE(archives); i++)
        assert_true(kind_is_archive(archives[i]));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        assert_false(kind_is_archive(files[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_name_becomes),
        cmocka_unit_test(test_depth_is_counted),
        cmocka_unit_test(test_backslash_is_a_slash_in_zip_alone),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_which_names_are_archives),
    };

    if (names_open(&names, NULL) < 0)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    names_close(&names);
    return rc;
}
