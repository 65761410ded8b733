/* Files for another user's folder: what is written, what counts as changed, what stands in the way. */
#include "cli/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "cli/apart.h"

static char base[32];
static uid_t user;

struct wanted {
    const char *watched, *unwatched;
    mode_t mode;
};

static int work(void *arg, struct error **err)
{
    const struct wanted *w = arg;
    _cleanup_handover_ struct handover *h = handover_new();
    _cleanup_free_ char *from = xasprintf("%s/from", base), *folder = xasprintf("%s/folder", base);

    handover_add(h, "pki/key", str_from(w->watched), w->mode, true);
    handover_add(h, "plain", str_from(w->unwatched), 0644, false);
    if (handover_add_tree(h, from, "tree", err) < 0)
        return -1;
    return handover_write(h, folder, user, err);
}

static int write_all_of(const char *watched, const char *unwatched)
{
    struct wanted w = {watched, unwatched, 0600};
    struct error *err = NULL;
    int rc = apart(work, &w, &err);

    if (rc < 0)
        fail_msg("%s", err->message);
    return rc;
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", base, name);
}

static void assert_file(const char *name, const char *content, mode_t mode)
{
    _cleanup_free_ char *path = path_of(name), *text = read_file(path, 1 << 20, NULL, NULL);
    struct stat st;

    assert_string_equal(text, content);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_uid, user);
    assert_int_equal(st.st_nlink, 1);
}

static void assert_folder(const char *name)
{
    _cleanup_free_ char *path = path_of(name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
}

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = path_of(name);
    assert_int_equal(write_file_atomic(path, str_from(content), 0600, NULL), 0);
}

static int setup(void **state)
{
    user = geteuid() == 0 ? 61001 : geteuid();
    strcpy(base, "/tmp/open-hydra-handover-XXXXXX");
    if (mkdtemp(base) == NULL || chmod(base, 0711) < 0)
        return -1;
    _cleanup_free_ char *folder = path_of("folder"), *from = path_of("from"), *sub = path_of("from/sub"),
                        *link = path_of("from/link");
    if (mkdir(folder, 0700) < 0 || chown(folder, user, geteuid() == 0 ? user : getegid()) < 0 ||
        mkdir(from, 0700) < 0 || mkdir(sub, 0700) < 0 || symlink("/etc/passwd", link) < 0)
        return -1;
    put("from/one", "1");
    put("from/sub/two", "2");
    return 0;
}

static int teardown(void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", base);
    return system(command);
}

static ino_t inode_of(const char *name)
{
    _cleanup_free_ char *path = path_of(name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_ino;
}

static void files_are_that_users(void **state)
{
    assert_int_equal(write_all_of("secret", "plain"), 1);
    assert_file("folder/pki/key", "secret", 0600);
    assert_file("folder/plain", "plain", 0644);
    assert_file("folder/tree/one", "1", 0644);
    assert_file("folder/tree/sub/two", "2", 0644);
    _cleanup_free_ char *link = path_of("folder/tree/link"), *left = path_of("folder/pki/key.new");
    assert_false(path_exists(link));
    assert_false(path_exists(left));
}

static void what_is_right_is_left_alone(void **state)
{
    assert_int_equal(write_all_of("secret", "plain"), 1);
    ino_t key = inode_of("folder/pki/key"), two = inode_of("folder/tree/sub/two");
    assert_int_equal(write_all_of("secret", "plain"), 0);
    assert_int_equal(inode_of("folder/pki/key"), key);
    assert_int_equal(inode_of("folder/tree/sub/two"), two);
    /* What nobody watches counts for nothing. */
    assert_int_equal(write_all_of("secret", "other"), 0);
    assert_file("folder/plain", "other", 0644);
    assert_int_equal(write_all_of("secre7", "other"), 1);
    assert_file("folder/pki/key", "secre7", 0600);
    assert_int_equal(write_all_of("longer secret", "other"), 1);
    assert_int_equal(write_all_of("", "other"), 1);
    assert_file("folder/pki/key", "", 0600);
}

static void a_mode_or_a_second_name_is_not_right(void **state)
{
    _cleanup_free_ char *key = path_of("folder/pki/key"), *second = path_of("folder/second");

    assert_int_equal(write_all_of("secret", "plain"), 1);
    assert_int_equal(chmod(key, 0644), 0);
    assert_int_equal(write_all_of("secret", "plain"), 1);
    assert_file("folder/pki/key", "secret", 0600);
    assert_int_equal(link(key, second), 0);
    assert_int_equal(write_all_of("secret", "plain"), 1);
    assert_file("folder/pki/key", "secret", 0600);
}

/* As that user could: each of them in the place of the file, its neighbour, and the folder. */
static void what_stands_in_the_way_goes(void **state)
{
    static const char *const places[] = {"folder/pki/key", "folder/pki/key.new", "folder/pki", "folder/tree/sub"};
    _cleanup_free_ char *victim = path_of("victim");

    put("victim", "root's own");
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (int kind = 0; kind < 8; kind++) {
            static const char *const how[] = {"ln -s ../../victim \"$p\"",
                                              "mkfifo \"$p\"",
                                              "mkdir -p \"$p/a/b\"; echo x >\"$p/a/b/c\"; chmod 0 \"$p/a\"",
                                              "ln -s / \"$p\"",
                                              "echo x >\"$p\"; chmod 0 \"$p\"",
                                              "mkdir -p \"$(dirname \"$p\")/own\"; ln -s own \"$p\"",
                                              "mkdir -p \"$p/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a\"",
                                              "mkdir -p \"$p/theirs/a\""};
            _cleanup_free_ char *place = path_of(places[i]),
                                *command =
                                    xasprintf("p=%s; rm -rf \"$p\"; %s; chown -hR %u \"$p\" \"$(dirname \"$p\")\"; "
                                              "[ ! -d $p/theirs ] || chown -R %u $p/theirs",
                                              place, how[kind], (unsigned)user, (unsigned)geteuid());
            (void)write_all_of("secret", "plain");
            assert_int_equal(system(command), 0);
            (void)write_all_of("secret", "plain");
            assert_file("folder/pki/key", "secret", 0600);
            assert_file("folder/tree/sub/two", "2", 0644);
            assert_folder("folder/pki");
            assert_folder("folder/tree/sub");
            _cleanup_free_ char *text = read_file(victim, 100, NULL, NULL);
            assert_string_equal(text, "root's own");
        }
}

static void errors_name_the_file(void **state)
{
    struct wanted w = {"secret", "plain", 0600};
    struct error *err = NULL;
    _cleanup_free_ char *from = path_of("from");

    _cleanup_free_ char *command = xasprintf("rm -rf %s", from);
    assert_int_equal(system(command), 0);
    assert_int_equal(apart(work, &w, &err), -1);
    assert_non_null(strstr(err->message, from));
    error_free(err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(files_are_that_users),        T(what_is_right_is_left_alone), T(a_mode_or_a_second_name_is_not_right),
        T(what_stands_in_the_way_goes), T(errors_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
