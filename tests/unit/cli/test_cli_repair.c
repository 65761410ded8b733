/* What is given back to a folder's owner, and what is left alone. */
#include "cli/repair.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

#define OWNER 61001
#define FORMER 61002
#define STRANGER 61003

static char base[32];

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", base, name);
}

static void make(const char *name, uid_t uid)
{
    _cleanup_free_ char *path = path_of(name);

    if (ends_with(name, "/"))
        assert_int_equal(mkdir(path, 0700), 0);
    else
        assert_int_equal(write_file_atomic(path, STR("x"), 0600, NULL), 0);
    assert_int_equal(chown(path, uid, uid), 0);
}

static uid_t owner_of(const char *name)
{
    _cleanup_free_ char *path = path_of(name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_uid, st.st_gid);
    return st.st_uid;
}

static int setup(void **state)
{
    strcpy(base, "/tmp/open-hydra-repair-XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    make("folder/", OWNER);
    make("outside/", 0);
    make("outside/file", 0);
    return 0;
}

static int teardown(void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", base);
    return system(command);
}

static void repair(uid_t former)
{
    _cleanup_free_ char *path = path_of("folder");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct owner o = {former, OWNER, OWNER};

    assert_true(fd >= 0);
    assert_int_equal(repair_owners(fd, &o, NULL), 0);
}

static void roots_and_the_former_owners(void **state)
{
    static const char *const given[] = {"folder/a", "folder/b/", "folder/b/c", "folder/b/d/", "folder/b/d/e"};

    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        make(given[i], i % 2 ? FORMER : 0);
    make("folder/own/", OWNER);
    make("folder/own/in", 0);
    make("folder/strangers", STRANGER);
    make("folder/strange/", STRANGER);
    repair(FORMER);
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        assert_int_equal(owner_of(given[i]), OWNER);
    assert_int_equal(owner_of("folder/own/in"), OWNER);
    assert_int_equal(owner_of("folder/strangers"), STRANGER);
    assert_int_equal(owner_of("folder/strange/"), STRANGER);
    assert_int_equal(owner_of("outside"), 0);
}

static void where_the_owner_is_the_same_only_roots(void **state)
{
    make("folder/a", 0);
    make("folder/b", FORMER);
    repair(OWNER);
    assert_int_equal(owner_of("folder/a"), OWNER);
    assert_int_equal(owner_of("folder/b"), FORMER);
}

static void nothing_through_a_link(void **state)
{
    _cleanup_free_ char *file = path_of("outside/file"), *folder = path_of("outside"),
                        *to_file = path_of("folder/file"), *to_folder = path_of("folder/link"),
                        *hard = path_of("folder/hard"), *fifo = path_of("folder/fifo"), *loop = path_of("folder/loop");

    assert_int_equal(symlink(file, to_file), 0);
    assert_int_equal(symlink(folder, to_folder), 0);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(link(file, hard), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    repair(0);
    assert_int_equal(owner_of("outside"), 0);
    assert_int_equal(owner_of("outside/file"), 0);
    assert_int_equal(owner_of("folder/hard"), 0);
    assert_int_equal(owner_of("folder/file"), 0);
    assert_int_equal(owner_of("folder/fifo"), 0);
    /* Once it has that one name alone, it is the folder's. */
    assert_int_equal(unlink(file), 0);
    repair(0);
    assert_int_equal(owner_of("folder/hard"), OWNER);
}

static void nothing_on_another_device(void **state)
{
    _cleanup_free_ char *folder = path_of("folder/disk");

    make("folder/disk/", OWNER);
    if (mount("none", folder, "tmpfs", 0, "size=64k") < 0)
        skip();
    make("folder/disk/file", 0);
    repair(0);
    uid_t owner = owner_of("folder/disk/file"), of_it = owner_of("folder/disk/");
    umount2(folder, MNT_DETACH);
    assert_int_equal(owner, 0);
    assert_int_equal(of_it, 0);
}

static void half_made_files_go(void **state)
{
    _cleanup_free_ char *folder = path_of("folder"), *link = path_of("folder/link.new"),
                        *target = path_of("outside/file");
    _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const struct {
        const char *name;
        bool stays;
    } files[] = {{"folder/a.new", false},
                 {"folder/a", true},
                 {"folder/new", true},
                 {"folder/a.newer", true},
                 {"folder/d.new/", true}};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        make(files[i].name, 0);
    assert_int_equal(symlink(target, link), 0);
    repair_half_made(fd);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = path_of(files[i].name);
        assert_int_equal(path_exists(path), files[i].stays);
    }
    assert_true(path_exists(target));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(roots_and_the_former_owners), T(where_the_owner_is_the_same_only_roots),
        T(nothing_through_a_link),      T(nothing_on_another_device),
        T(half_made_files_go),
    };
    return geteuid() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 77; /* nothing can be given away */
}
