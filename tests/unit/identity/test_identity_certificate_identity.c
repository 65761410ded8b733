#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "server/identity/certificate_identity.h"
#include "server/identity/revoked.h"

static struct arena *arena;

static int setup(void **state)
{
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(arena);
    return 0;
}

static struct subject parsed(const char *dn)
{
    struct subject s;
    if (subject_parse(arena, str_from(dn), &s) < 0)
        fail_msg("not parsed: %s", dn);
    return s;
}

static void test_names_and_groups(void **state)
{
    struct subject s = parsed("CN=open-hydra-admin,O=system:masters");
    assert_string_equal(s.common_name, "open-hydra-admin");
    assert_true(s.masters);
    assert_true(parsed("O=system:masters,O=others,CN=a").masters);
    assert_true(parsed("CN=a+O=system:masters").masters);
    assert_false(parsed("CN=a,O=system:master").masters);
    assert_false(parsed("CN=a,OU=system:masters").masters);
    assert_null(parsed("O=system:masters").common_name);
}

static void test_all_groups_are_told(void **state)
{
    struct subject s = parsed("O=class-1+O=class\\,2,CN=a,O=system:masters");
    assert_int_equal(s.groups_len, 3);
    assert_string_equal(s.groups[0], "class-1");
    assert_string_equal(s.groups[1], "class,2");
    assert_string_equal(s.groups[2], "system:masters");
    assert_null(s.groups[3]);
    s.groups[3] = "one more";
    assert_null(s.groups[4]);
    assert_null(parsed("CN=a").groups[0]);
}

/* A name may hold anything: it must not turn into another attribute. */
static void test_escapes(void **state)
{
    struct subject s = parsed("CN=a\\,O\\=system:masters");
    assert_string_equal(s.common_name, "a,O=system:masters");
    assert_false(s.masters);
    s = parsed("CN=a\\2CO=system:masters");
    assert_string_equal(s.common_name, "a,O=system:masters");
    assert_false(s.masters);
    assert_string_equal(parsed("CN=\\E7\\8E\\8B\\+\\\\").common_name, "王+\\");
    assert_string_equal(parsed("CN=\\ a\\ ").common_name, " a ");
}

static void test_what_is_no_name(void **state)
{
    static const char *const bad[] = {"",         "x",      "=x",       "CN",    "CN=a,",    "CN=a,CN=b", "CN=a\\",
                                      "CN=\"a\"", "CN=a\"", "CN=#0403", "C N=a", "CN=a\\00", ",CN=a"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct subject s;
        if (subject_parse(arena, str_from(bad[i]), &s) == 0)
            fail_msg("parsed: %s", bad[i]);
    }
    struct subject s;
    char *longest = xcalloc(1, 5001);
    for (size_t i = 0; i < 5000; i++)
        longest[i] = i < 3 ? "CN="[i] : 'x';
    assert_int_equal(subject_parse(arena, str_from(longest), &s), -1);
    free(longest);
}

static void test_serials(void **state)
{
    assert_string_equal(serial_normal(arena, STR("0aBc")), "ABC");
    assert_string_equal(serial_normal(arena, STR("00")), "0");
    assert_null(serial_normal(arena, STR("")));
    assert_null(serial_normal(arena, STR("12 34")));
    assert_null(serial_normal(arena, STR("xyz")));
}

static void put(const char *path, const char *text)
{
    assert_int_equal(write_file_atomic(path, str_from(text), 0644, NULL), 0);
}

static void test_revoked_follows_its_file(void **state)
{
    char directory[] = "/tmp/open-hydra-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    _cleanup_free_ char *path = xasprintf("%s/revoked", directory);
    struct revoked *r = revoked_new(path, 0);

    assert_false(revoked_has(r, "AB"));
    put(path, "0ab\nnonsense\n\n");
    assert_true(revoked_has(r, "AB"));
    assert_false(revoked_has(r, "CD"));
    put(path, "ab\ncd");
    assert_true(revoked_has(r, "AB"));
    assert_true(revoked_has(r, "CD"));
    unlink(path);
    assert_true(revoked_has(r, "CD"));
    revoked_free(r);
    rmdir(directory);
}

static void test_an_unreadable_list_revokes_all(void **state)
{
    char directory[] = "/tmp/open-hydra-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    _cleanup_free_ char *path = xasprintf("%s/revoked", directory);
    struct revoked *r = revoked_new(path, 0);

    assert_int_equal(mkdir(path, 0700), 0); /* a folder can't be read, by root neither */
    assert_true(revoked_has(r, "AB"));
    rmdir(path);
    assert_false(revoked_has(r, "AB"));
    revoked_free(r);
    rmdir(directory);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_names_and_groups),
        T(test_all_groups_are_told),
        T(test_escapes),
        T(test_what_is_no_name),
        T(test_serials),
        T(test_revoked_follows_its_file),
        T(test_an_unreadable_list_revokes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
