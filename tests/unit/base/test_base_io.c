/* Files that are there as a whole after a power cut, with the mode that was asked for. */
#include "base/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

/* A power cut cannot be had in a test, the calls that provide for it can be counted: the linker sends them here. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static unsigned files_synced, folders_synced;

int __wrap_fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    /* The content is on disk before the name is, and the name was given before its folder is. */
    if (S_ISDIR(st.st_mode))
        folders_synced++;
    else
        assert_int_equal(++files_synced, folders_synced + 1);
    return __real_fsync(fd);
}

static char *make_folder(void)
{
    char folder[] = "/tmp/open-hydra-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    return xstrdup(folder);
}

static void files_are_synced_before_their_folders(void **state)
{
    _cleanup_free_ char *folder = make_folder(), *file = xasprintf("%s/f", folder);

    files_synced = folders_synced = 0;
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(write_file_atomic(file, STR("x"), 0600, NULL), 0);
        assert_int_equal(files_synced, i);
        assert_int_equal(folders_synced, i);
    }
    unlink(file);
    rmdir(folder);
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    static const mode_t modes[] = {0600, 0640, 0644, 0755};
    _cleanup_free_ char *folder = make_folder(), *file = xasprintf("%s/f", folder), *sub = xasprintf("%s/d", folder);
    mode_t before = umask(077);
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        files_synced = folders_synced = 0;
        assert_int_equal(write_file_atomic(file, STR("x"), modes[i], NULL), 0);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_int_equal(make_directory(sub, modes[i] | 0100, NULL), 0);
        assert_int_equal(stat(sub, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i] | 0100);
        rmdir(sub);
    }
    umask(before);
    unlink(file);
    rmdir(folder);
}

static void folders_are_on_disk_before_what_is_in_them(void **state)
{
    _cleanup_free_ char *folder = make_folder(), *a = xasprintf("%s/a", folder), *b = xasprintf("%s/b", a),
                        *c = xasprintf("%s/c", b);
    mode_t before = umask(077);
    struct stat st;

    folders_synced = 0;
    assert_int_equal(make_directory(c, 0700, NULL), 0);
    assert_int_equal(folders_synced, 3);
    assert_int_equal(make_directory(c, 0755, NULL), 0);
    assert_int_equal(folders_synced, 3);
    umask(before);
    /* Others may go through what leads there, whatever the umask; what was there keeps its mode. */
    assert_int_equal(stat(b, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(c, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    rmdir(c);
    rmdir(b);
    rmdir(a);
    rmdir(folder);
}

static void check_content(const char *file, const char *expected)
{
    _cleanup_free_ char *text = read_file(file, 100, NULL, NULL);

    assert_non_null(text);
    assert_string_equal(text, expected);
}

/* What a kill left half made, or somebody planted, is gone; what a planted link leads to is not touched. */
static void nothing_in_the_way_is_kept(void **state)
{
    _cleanup_free_ char *folder = make_folder(), *file = xasprintf("%s/f", folder), *half = xasprintf("%s.new", file),
                        *other = xasprintf("%s/other", folder);

    files_synced = folders_synced = 0;
    assert_int_equal(write_file_atomic(other, STR("other"), 0600, NULL), 0);
    assert_int_equal(write_file_atomic(half, STR("half of something longer"), 0600, NULL), 0);
    assert_int_equal(write_file_atomic(file, STR("whole"), 0600, NULL), 0);
    check_content(file, "whole");
    assert_false(path_exists(half));
    assert_int_equal(symlink(other, half), 0);
    assert_int_equal(write_file_atomic(file, STR("again"), 0600, NULL), 0);
    check_content(file, "again");
    check_content(other, "other");
    unlink(file);
    unlink(other);
    assert_int_equal(rmdir(folder), 0);
}

static void what_cannot_be_written_leaves_nothing(void **state)
{
    _cleanup_free_ char *folder = make_folder(), *file = xasprintf("%s/f", folder), *in = xasprintf("%s/in", file);
    _cleanup_error_ struct error *err = NULL;

    files_synced = folders_synced = 0;
    assert_int_equal(make_directory(in, 0700, NULL), 0);
    files_synced = folders_synced = 0;
    assert_int_equal(write_file_atomic(file, STR("x"), 0600, &err), -1);
    assert_non_null(strstr(err->message, file));
    assert_int_equal(folders_synced, 0);
    rmdir(in);
    rmdir(file);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_synced_before_their_folders),
        cmocka_unit_test(folders_are_on_disk_before_what_is_in_them),
        cmocka_unit_test(modes_do_not_depend_on_the_umask),
        cmocka_unit_test(nothing_in_the_way_is_kept),
        cmocka_unit_test(what_cannot_be_written_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
