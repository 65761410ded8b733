/* What the runner makes and checks on the host: host ids, homes, socket directories. Mounts and owners need root. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/home.h"
#include "runner/engine/hostid.h"
#include "runner/engine/place.h"
#include "runner/environment/lines.h"

#define FIRST 1900019712u /* 65536 * 28992 */

static char folder[32];

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/runner-host-XXXXXX");
    return mkdtemp(folder) ? chmod(folder, 0755) : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
    return remove(path);
}

static int remove_folder(void **state)
{
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static bool skip_without_root(void)
{
    if (geteuid() == 0)
        return false;
    print_message("needs root\n");
    return true;
}

/* --- host ids --------------------------------------------------------------------------------------------------- */

static int check(uint32_t id, const char *lines)
{
    const struct config c = {.host_id_base = 65536 * 100, .host_id_size = 65536, .host_id_count = 10};
    _cleanup_free_ char *path = in_folder("subuid");
    const char *files[] = {"/nonexistent", path, NULL};

    assert_int_equal(write_file_atomic(path, str_from(lines), 0600, NULL), 0);
    return host_id_check(&c, id, files, NULL);
}

static void test_host_ids(void **state)
{
    assert_int_equal(check(65536 * 101, ""), 0);
    assert_int_equal(check(65536 * 109, "nonsense\nx:y:z\n\na:1:\n"), 0);
    assert_int_equal(check(65536 * 100, ""), -1); /* the service users' */
    assert_int_equal(check(65536 * 110, ""), -1); /* after the span */
    assert_int_equal(check(65536 * 99, ""), -1);
    assert_int_equal(check(65536 * 101 + 1, ""), -1);
    assert_int_equal(check(65536 * 101 + 2, ""), -1);
    assert_int_equal(check(65536 * 101 + 32768, ""), -1);
    assert_int_equal(check(0, ""), -1);
    assert_int_equal(check(65536 * 101, "root:100000:65536\nada:6619136:1\n"), -1); /* its first id */
    assert_int_equal(check(65536 * 101, "ada:6684671:10"), -1);                     /* its last; no newline */
    assert_int_equal(check(65536 * 101, "ada:6684672:10\nbob:6619135:1\n"), 0);     /* beside it */
    assert_int_equal(check(65536 * 101, "ada:1:4000000000\n"), -1);
}

/* --- homes ------------------------------------------------------------------------------------------------------ */

static int open_home(const char *base, const char *user, struct error **err)
{
    static const char *const folders[] = {".local/share/jupyter", "course-public"};
    struct home_options o = {.base = base,
                             .folders = folders,
                             .folders_len = ARRAY_SIZE(folders),
                             .sandbox = "plain",
                             .user = user,
                             .owner = FIRST + 1000,
                             .range_first = FIRST,
                             .range_size = 65536,
                             .chown = geteuid() == 0};
    struct home home;
    int lock;

    if (home_open(&o, &home, &lock, err) < 0)
        return -1;
    home_make_folders(&o, &home);
    close(lock);
    close(home.parent);
    assert_false(home.mend); /* nobody knows whose it is: nothing in it is given away */
    return home.fd;
}

static void test_home(void **state)
{
    _cleanup_free_ char *base = in_folder("work/space");
    struct stat st;

    if (skip_without_root())
        return;
    for (int again = 0; again < 2; again++) {
        _cleanup_close_ int fd = open_home(base, "ada", NULL);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_uid, FIRST + 1000);
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(st.st_gid, FIRST + 1000);
        static const char *const made[] = {".local", ".local/share", ".local/share/jupyter", "course-public"};
        for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
            assert_int_equal(fstatat(fd, made[i], &st, AT_SYMLINK_NOFOLLOW), 0);
            assert_true(st.st_uid == FIRST + 1000 && st.st_gid == FIRST + 1000 && (st.st_mode & 07777) == 0700);
        }
    }
    assert_int_equal(stat(base, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_home_of_others(void **state)
{
    _cleanup_free_ char *base = in_folder("space"), *home = in_folder("space/plain/ada"),
                        *file = in_folder("space/plain/ada/x");
    _cleanup_error_ struct error *err = NULL;

    if (skip_without_root())
        return;
    close(open_home(base, "ada", NULL));
    assert_int_equal(chown(home, FIRST + 65536, 0), 0); /* the next user's */
    assert_int_equal(open_home(base, "ada", &err), -1);
    assert_int_equal(err->reason, REASON_FORBIDDEN);
    assert_int_equal(chown(home, 0, 0), 0);
    assert_int_equal(open_home(base, "ada", NULL), -1); /* ours, but not empty: not one that was just made */
    assert_int_equal(chown(home, FIRST + 65535, 0), 0); /* other ids of that user's range: its last, its first */
    close(open_home(base, "ada", &err));
    assert_int_equal(chown(home, FIRST, 0), 0);
    _cleanup_close_ int fd = open_home(base, "ada", NULL);
    assert_true(fd >= 0);
    assert_false(path_exists(file));
}

/* A kill between mkdir and chown. */
static void test_home_half_made(void **state)
{
    _cleanup_free_ char *base = in_folder("space"), *parent = in_folder("space/plain"),
                        *home = in_folder("space/plain/ada");
    struct stat st;

    if (skip_without_root())
        return;
    assert_int_equal(make_directory(parent, 0700, NULL), 0);
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(mkdir(home, 0700), 0);
    _cleanup_close_ int fd = open_home(base, "ada", NULL);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, FIRST + 1000);
}

static void write_text(const char *name, const char *text, mode_t mode)
{
    _cleanup_free_ char *path = in_folder(name);

    assert_int_equal(write_file_atomic(path, str_from(text), mode, NULL), 0);
}

static int open_filled_home(const char *skeleton, const char *user, struct error **err)
{
    _cleanup_free_ char *base = in_folder("space");
    struct home_options o = {.base = base,
                             .sandbox = "plain",
                             .user = user,
                             .owner = FIRST + 1000,
                             .range_first = FIRST,
                             .range_size = 65536,
                             .skeleton = skeleton,
                             .chown = true};
    struct home home;
    int lock;

    if (home_open(&o, &home, &lock, err) < 0)
        return -1;
    close(lock);
    close(home.parent);
    return home.fd;
}

/* Whole, the owner's, once; what a kill left half made is made anew; links and pipes stay where they are. */
static void test_home_with_a_skeleton(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } rows[] = {{"a", 0755}, {"a/b", 0700}, {"a/b/run", 0755}, {".bashrc", 0644}, {"closed", 0600}};
    static const char *const left_out[] = {"link", "up", "pipe", ".new-ada", "stale"};
    _cleanup_free_ char *skeleton = in_folder("skel"), *deep = in_folder("skel/a/b"), *link = in_folder("skel/link");
    _cleanup_free_ char *up = in_folder("skel/up"), *pipe = in_folder("skel/pipe"), *top = in_folder("skel/a");
    _cleanup_free_ char *half = in_folder("space/plain/.new-ada/deep"), *base = in_folder("space");
    _cleanup_free_ char *homes = in_folder("space/plain"), *remains = in_folder("space/plain/.new-ada");
    struct stat st;

    if (skip_without_root())
        return;
    assert_int_equal(make_directory(deep, 0700, NULL), 0);
    assert_int_equal(chmod(top, 0755), 0);
    write_text("skel/a/b/run", "#!/bin/sh\n", 0755);
    write_text("skel/.bashrc", "x", 0644);
    write_text("skel/closed", "", 0000);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(symlink("../..", up), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(make_directory(half, 0700, NULL), 0);
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(chmod(homes, 0700), 0);
    write_text("space/plain/.new-ada/stale", "x", 0644);

    _cleanup_close_ int fd = open_filled_home(skeleton, "ada", NULL);
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == FIRST + 1000 && (st.st_mode & 07777) == 0700);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(fstatat(fd, rows[i].name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(st.st_uid == FIRST + 1000 && st.st_gid == FIRST + 1000);
        assert_int_equal(st.st_mode & 07777, rows[i].mode);
    }
    for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
        assert_int_equal(fstatat(fd, left_out[i], &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_false(path_exists(remains));

    assert_int_equal(unlinkat(fd, ".bashrc", 0), 0);
    _cleanup_close_ int again = open_filled_home(skeleton, "ada", NULL);
    assert_true(again >= 0 && fstatat(again, ".bashrc", &st, 0) < 0);
}

/* Nothing is left of one that could not be made, under the user's name. */
static void test_skeletons_that_are_too_much(void **state)
{
    _cleanup_free_ char *skeleton = in_folder("skel"), *large = in_folder("skel/large"),
                        *home = in_folder("space/plain/ada");
    _cleanup_free_ char *nowhere = in_folder("none"), *deep = xstrdup(skeleton);
    _cleanup_error_ struct error *err = NULL, *other = NULL, *missing = NULL;

    if (skip_without_root())
        return;
    for (int i = 0; i < 40; i++) {
        char *longer = xasprintf("%s/d", deep);
        free(deep);
        deep = longer;
    }
    assert_int_equal(make_directory(deep, 0755, NULL), 0);
    assert_int_equal(open_filled_home(skeleton, "ada", &err), -1);
    assert_true(err->reason == REASON_INVALID && strstr(err->message, "homeSkeleton"));
    assert_false(path_exists(home));

    _cleanup_free_ char *command = xasprintf("rm -rf %s/d", skeleton);
    assert_int_equal(system(command), 0);
    int fd = open(large, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, ((off_t)1 << 30) + 1) == 0);
    close(fd);
    assert_int_equal(open_filled_home(skeleton, "ada", &other), -1);
    assert_non_null(strstr(other->message, "homeSkeleton"));
    assert_false(path_exists(home));
    assert_int_equal(unlink(large), 0);
    assert_int_equal(open_filled_home(nowhere, "ada", &missing), -1);
    assert_non_null(strstr(missing->message, "homeSkeleton"));
    _cleanup_close_ int made = open_filled_home(skeleton, "ada", NULL);
    assert_true(made >= 0);
}

/* A folder that root keeps under a user's name for another end is not given away, even if nothing is in it yet. */
static void test_a_folder_of_roots_is_no_home(void **state)
{
    static const mode_t modes[] = {0755, 0711, 0701, 01700, 0500};
    _cleanup_free_ char *base = in_folder("space"), *parent = in_folder("space/plain"),
                        *home = in_folder("space/plain/www");
    struct stat st;

    if (skip_without_root())
        return;
    assert_int_equal(make_directory(parent, 0700, NULL), 0);
    assert_int_equal(mkdir(home, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_error_ struct error *err = NULL;
        assert_int_equal(chmod(home, modes[i]), 0);
        assert_int_equal(open_home(base, "www", &err), -1);
        assert_int_equal(err->reason, REASON_FORBIDDEN);
        assert_int_equal(stat(home, &st), 0);
        assert_true(st.st_uid == 0 && (st.st_mode & 07777) == modes[i]);
    }
}

/* A folder that others enter, and not one for homes alone, perhaps: nothing in it is given to anybody. */
static void test_whose_it_is_says_its_place_where_that_is_closed(void **state)
{
    _cleanup_free_ char *base = in_folder("srv"), *home = in_folder("srv/www"), *file = in_folder("srv/www/index.html");
    struct home_options o = {.base = base,
                             .user = "www",
                             .uid = "a-uid",
                             .owner = FIRST + 1000,
                             .range_first = FIRST,
                             .range_size = 65536,
                             .chown = true};
    _cleanup_error_ struct error *err = NULL;
    struct home opened;
    int lock;

    if (skip_without_root())
        return;
    assert_true(mkdir(base, 0755) == 0 && mkdir(home, 0755) == 0 && write_file_atomic(file, STR("x"), 0644, NULL) == 0);
    assert_int_equal(home_open(&o, &opened, &lock, &err), -1);
    assert_int_equal(err->reason, REASON_FORBIDDEN);
    assert_non_null(strstr(err->message, "chmod 0700"));
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(home_open(&o, &opened, &lock, NULL), 0);
    assert_true(opened.mend);
    home_close(&opened);
    close(lock);
}

/* The student can give these names to folders of somebody else's that are in the home. */
static void test_folders_of_roots_in_a_home_are_left_alone(void **state)
{
    static const char *const names[] = {".local", ".local/share"};

    if (skip_without_root())
        return;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *user = xasprintf("u%zu", i), *base = in_folder("space"),
                            *home = xasprintf("%s/plain/%s", base, user), *kept = xasprintf("%s/%s", home, names[i]),
                            *jupyter = xasprintf("%s/.local/share/jupyter", home),
                            *share = xasprintf("%s/.local/share", home), *local = xasprintf("%s/.local", home);
        struct stat st;
        close(open_home(base, user, NULL));
        assert_true(rmdir(jupyter) == 0 && rmdir(share) == 0 && (i == 1 || rmdir(local) == 0));
        assert_int_equal(mkdir(kept, 0755), 0);
        close(open_home(base, user, NULL));
        assert_int_equal(stat(kept, &st), 0);
        assert_true(st.st_uid == 0 && st.st_nlink == 2); /* no folder was made in it */
        /* The next id of somebody else's is as foreign; the last of the own range is not. */
        assert_int_equal(chown(kept, FIRST + 65536, 0), 0);
        close(open_home(base, user, NULL));
        assert_true(stat(kept, &st) == 0 && st.st_nlink == 2);
        assert_int_equal(chown(kept, FIRST + 65535, 0), 0);
        close(open_home(base, user, NULL));
        assert_true(stat(kept, &st) == 0 && st.st_nlink == 3);
    }
}

/* Made by somebody less careful, or opened since. */
static void test_the_folder_of_homes_is_closed_again(void **state)
{
    static const mode_t modes[] = {0777, 0755, 0710, 0701};
    _cleanup_free_ char *base = in_folder("space"), *parent = in_folder("space/plain");
    struct stat st;

    if (skip_without_root())
        return;
    assert_int_equal(make_directory(parent, 0700, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(parent, modes[i]), 0);
        close(open_home(base, "ada", NULL));
        assert_int_equal(stat(parent, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
}

static void test_links_are_refused(void **state)
{
    _cleanup_free_ char *base = in_folder("space"), *parent = in_folder("space/plain"),
                        *home = in_folder("space/plain/ada");
    _cleanup_free_ char *away = in_folder("away"), *local = in_folder("space/plain/bob/.local");

    assert_int_equal(mkdir(away, 0755), 0);
    assert_int_equal(make_directory(parent, 0700, NULL), 0);
    assert_int_equal(symlink(away, home), 0);
    assert_int_equal(open_home(base, "ada", NULL), -1);
    if (!skip_without_root()) {
        close(open_home(base, "bob", NULL));
        _cleanup_free_ char *command = xasprintf("%s/share/jupyter", local), *share = xasprintf("%s/share", local);
        assert_true(rmdir(command) == 0 && rmdir(share) == 0 && rmdir(local) == 0);
        assert_int_equal(symlink(away, local), 0);
        _cleanup_close_ int fd = open_home(base, "bob", NULL);
        assert_true(fd >= 0);
        assert_int_equal(rmdir(away), 0); /* nothing was made in it */
    }
    assert_int_equal(unlink(home), 0);
    assert_true(rmdir(parent) == 0 || errno == ENOTEMPTY);
}

static void test_a_parent_of_others_is_refused(void **state)
{
    _cleanup_free_ char *base = in_folder("space"), *parent = in_folder("space/plain");

    if (skip_without_root())
        return;
    assert_int_equal(mkdir(base, 0777), 0);
    assert_int_equal(chmod(base, 0777), 0);
    assert_int_equal(open_home(base, "ada", NULL), -1);
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(chown(parent, 1234, 0), 0);
    assert_int_equal(open_home(base, "ada", NULL), -1);
    assert_int_equal(chown(parent, 0, 0), 0);
    static const mode_t modes[] = {0720, 0702};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(base, modes[i]), 0);
        assert_int_equal(open_home(base, "ada", NULL), -1);
    }
    assert_true(chmod(base, 0700) == 0 && chown(base, 1234, 0) == 0);
    assert_int_equal(open_home(base, "ada", NULL), -1);
    assert_int_equal(chown(base, 0, 0), 0);
    close(open_home(base, "ada", NULL));
    /* An empty, closed folder of somebody else's is no home that was half made. */
    _cleanup_free_ char *bob = in_folder("space/plain/bob");
    assert_true(mkdir(bob, 0700) == 0 && chown(bob, 1234, 0) == 0);
    assert_int_equal(open_home(base, "bob", NULL), -1);
    /* Nor is a link followed that stays within the home. */
    _cleanup_free_ char *eve = in_folder("space/plain/eve/.local"), *real = in_folder("space/plain/eve/real"),
                        *inner = in_folder("space/plain/eve/real/share");
    close(open_home(base, "eve", NULL));
    _cleanup_free_ char *away = in_folder("space/plain/eve/away");
    assert_true(rename(eve, away) == 0 && mkdir(real, 0700) == 0 && chown(real, FIRST + 1000, 0) == 0 &&
                symlink("real", eve) == 0);
    close(open_home(base, "eve", NULL));
    assert_false(path_exists(inner));
}

/* --- socket directories ----------------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    char a[PLACE_NAME_SIZE], b[PLACE_NAME_SIZE];

    place_name(a, "f49ad645-6c10-4194-8d01-ff2eda3d4e51");
    place_name(b, "f49ad645-6c10-4194-8d01-ff2eda3d4e52");
    assert_int_equal(strlen(a), 16);
    assert_string_not_equal(a, b);
}

static bool follows_link(const char *directory)
{
    _cleanup_free_ char *link = xasprintf("%s/link", directory);
    bool made = symlink("/dev/null", link) == 0;
    _cleanup_close_ int fd = open(link, O_RDONLY | O_CLOEXEC);
    assert_true(made && unlink(link) == 0);
    return fd >= 0;
}

static void test_place(void **state)
{
    _cleanup_free_ char *root = in_folder("env"), *path = NULL, *home = NULL;
    char name[PLACE_NAME_SIZE], **names;
    struct stat st;

    if (skip_without_root())
        return;
    place_name(name, "uid");
    path = xasprintf("%s/%s", root, name);
    home = xasprintf("%s/%s.home", root, name);
    struct place_options o = {root, name, FIRST + 1000, 4242};
    assert_int_equal(place_prepare_root(root, 4242, NULL), 0);
    assert_int_equal(stat(root, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0710);
    assert_true(st.st_uid == 0 && st.st_gid == 4242);
    assert_false(place_has_socket(root, name));
    assert_int_equal(place_ensure_socket(&o, NULL), 1);
    assert_int_equal(place_ensure_socket(&o, NULL), 0);
    assert_true(place_has_socket(root, name));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_uid == FIRST + 1000 && st.st_gid == 4242 && (st.st_mode & 0777) == 0710);
    assert_false(follows_link(path));
    struct statvfs fs;
    assert_int_equal(statvfs(path, &fs), 0);
    assert_true(fs.f_blocks * fs.f_frsize <= 64 << 10);
    assert_int_equal(fs.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY), ST_NOSUID | ST_NODEV | ST_NOEXEC);

    /* It holds neither many files nor much. */
    unsigned made = 0;
    for (unsigned i = 0; i < 40; i++) {
        _cleanup_free_ char *file = xasprintf("%s/%u", path, i);
        _cleanup_close_ int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        made += fd >= 0;
    }
    assert_true(made < 16);

    _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int other = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(place_ensure_home(root, name, other, NULL), 0);
    assert_int_equal(place_ensure_home(root, name, fd, NULL), 0); /* another one than before */
    assert_int_equal(place_ensure_home(root, name, fd, NULL), 0);
    struct stat a, b;
    assert_true(stat(home, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino);
    assert_int_equal(statvfs(home, &fs), 0);
    assert_int_equal(fs.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY), ST_NOSUID | ST_NODEV);

    assert_int_equal(place_list(root, &names), 1);
    assert_string_equal(names[0], name);
    free(names[0]);
    free(names);
    assert_int_equal(place_remove(root, name, NULL), 0);
    assert_int_equal(place_remove(root, name, NULL), 0);
    assert_false(path_exists(path) || path_exists(home));
}

/* What a kill, or an older version, may have left: a mount without the guard, several, none at all. */
static void test_place_half_made(void **state)
{
    _cleanup_free_ char *root = in_folder("env"), *path = NULL;
    char name[PLACE_NAME_SIZE];

    if (skip_without_root())
        return;
    place_name(name, "uid");
    path = xasprintf("%s/%s", root, name);
    struct place_options o = {root, name, FIRST + 1000, 4242};
    assert_int_equal(place_prepare_root(root, 4242, NULL), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
    assert_false(place_has_socket(root, name));
    assert_int_equal(place_ensure_socket(&o, NULL), 1);
    assert_true(place_has_socket(root, name));
    assert_false(follows_link(path));
    assert_int_equal(place_remove(root, name, NULL), 0);
}

/* Guarded is a tmpfs alone: another file system, as well guarded against links, has not its bounds. */
static void test_another_file_system_is_no_place(void **state)
{
    _cleanup_free_ char *root = in_folder("env"), *path = NULL;
    char name[PLACE_NAME_SIZE];

    if (skip_without_root())
        return;
    place_name(name, "uid");
    path = xasprintf("%s/%s", root, name);
    assert_int_equal(place_prepare_root(root, 4242, NULL), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mount("ramfs", path, "ramfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | 256 /* nosymfollow */, NULL), 0);
    assert_false(place_has_socket(root, name));
    assert_int_equal(place_remove(root, name, NULL), 0);
}

/* The number of a folder is that of its file system: two roots have the same. */
static void test_homes_on_two_disks(void **state)
{
    _cleanup_free_ char *root = in_folder("env"), *one = in_folder("one"), *two = in_folder("two"),
                        *file = in_folder("two/file"), *seen = NULL;
    char name[PLACE_NAME_SIZE];

    if (skip_without_root())
        return;
    place_name(name, "uid");
    seen = xasprintf("%s/%s.home/file", root, name);
    assert_int_equal(place_prepare_root(root, 4242, NULL), 0);
    assert_true(mkdir(one, 0700) == 0 && mkdir(two, 0700) == 0);
    assert_true(mount("tmpfs", one, "tmpfs", 0, "size=64k") == 0 && mount("tmpfs", two, "tmpfs", 0, "size=64k") == 0);
    assert_int_equal(write_file_atomic(file, STR("x"), 0600, NULL), 0);
    {
        _cleanup_close_ int first = open(one, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int second = open(two, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat a, b;
        assert_true(fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_ino == b.st_ino);
        assert_int_equal(place_ensure_home(root, name, first, NULL), 0);
        assert_false(path_exists(seen));
        assert_int_equal(place_ensure_home(root, name, second, NULL), 0);
        assert_true(path_exists(seen));
        assert_int_equal(place_remove(root, name, NULL), 0);
    }
    assert_true(umount2(one, 0) == 0 && umount2(two, 0) == 0);
}

/* Whatever a kill left of a place, its name is found, once, and all of it goes. */
static void test_leftovers_are_listed(void **state)
{
    static const char *const suffixes[] = {"", ".home", ".log", ".data", ".course"};
    _cleanup_free_ char *root = in_folder("env");
    char name[PLACE_NAME_SIZE], **names;

    place_name(name, "uid");
    assert_int_equal(place_prepare_root(root, getegid(), NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        for (size_t with = i; with < ARRAY_SIZE(suffixes); with++) {
            _cleanup_free_ char *path = xasprintf("%s/%s%s", root, name, suffixes[i]),
                                *other = xasprintf("%s/%s%s", root, name, suffixes[with]);
            assert_int_equal(mkdir(path, 0700), 0);
            assert_true(mkdir(other, 0700) == 0 || with == i);
            assert_int_equal(place_list(root, &names), 1);
            assert_string_equal(names[0], name);
            free(names[0]);
            free(names);
            assert_int_equal(place_remove(root, name, NULL), 0);
            assert_false(path_exists(path) || path_exists(other));
        }
    _cleanup_free_ char *foreign = xasprintf("%s/%s.other", root, name);
    assert_int_equal(mkdir(foreign, 0700), 0);
    assert_int_equal(place_list(root, &names), 0);
}

/* --- what all share ---------------------------------------------------------------------------------------------- */

static void mount_memory(const char *path)
{
    assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=1777"), 0);
    assert_int_equal(mount(NULL, path, NULL, MS_SHARED, NULL), 0);
}

static bool is_harmless(const char *path)
{
    const unsigned long wanted = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC;
    _cleanup_free_ char *file = xasprintf("%s/new", path);
    struct statvfs fs;

    return statvfs(path, &fs) == 0 && (fs.f_flag & wanted) == wanted && open(file, O_CREAT | O_CLOEXEC, 0600) < 0 &&
           errno == EROFS;
}

static void test_shared_is_read_only_all_the_way_down(void **state)
{
    static const char *const below[] = {"", "/sub", "/sub/deep"};
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_free_ char *root = in_folder("env"), *set = in_folder("set"), *sub = in_folder("set/sub"),
                        *deep = in_folder("set/sub/deep"), *later = in_folder("set/later");
    char name[PLACE_NAME_SIZE], **names;

    if (skip_without_root())
        return;
    place_name(name, "uid");
    assert_int_equal(place_prepare_root(root, 4242, NULL), 0);
    mount_memory(set);
    mount_memory(sub);
    mount_memory(deep);
    assert_int_equal(mkdir(later, 0755), 0);
    const char *path = place_shared_path(a, root, name, PLACE_DATA_SET);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(place_ensure_shared(root, name, PLACE_DATA_SET, set, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(below); i++)
            assert_true(is_harmless(arena_printf(a, "%s%s", path, below[i])));
    }
    /* One copy, not one upon the other. */
    _cleanup_free_ char *mounts = read_file("/proc/self/mountinfo", 4 << 20, NULL, NULL),
                        *place = xasprintf(" %s ", path);
    const char *first = strstr(mounts, place);
    assert_true(first && strstr(first + 1, place) == NULL);
    /* What is mounted later does not arrive; the next environment has it, as harmless as the rest. */
    struct stat here, there;
    mount_memory(later);
    assert_true(stat(later, &here) == 0 && stat(arena_printf(a, "%s/later", path), &there) == 0);
    assert_true(here.st_dev != there.st_dev);
    assert_int_equal(place_ensure_shared(root, name, PLACE_COURSE, set, NULL), 0);
    assert_true(is_harmless(arena_printf(a, "%s/later", place_shared_path(a, root, name, PLACE_COURSE))));

    assert_int_equal(place_list(root, &names), 1);
    assert_string_equal(names[0], name);
    free(names[0]);
    free(names);
    assert_int_equal(place_remove(root, name, NULL), 0);
    assert_true(place_list(root, &names) == 0 && !path_exists(path));
    /* The original is as it was. */
    _cleanup_free_ char *file = in_folder("set/sub/deep/file");
    assert_int_equal(write_file_atomic(file, STR("x"), 0600, NULL), 0);
    assert_true(umount2(later, 0) == 0 && umount2(deep, 0) == 0 && umount2(sub, 0) == 0 && umount2(set, 0) == 0);
}

static void test_nothing_to_share(void **state)
{
    _cleanup_error_ struct error *err = NULL;
    _cleanup_free_ char *root = in_folder("env"), *none = in_folder("none");
    char name[PLACE_NAME_SIZE], **names;

    place_name(name, "uid");
    assert_int_equal(place_prepare_root(root, getegid(), NULL), 0);
    assert_int_equal(place_ensure_shared(root, name, PLACE_COURSE, none, &err), -1);
    assert_non_null(strstr(err->message, none));
    assert_int_equal(place_list(root, &names), 0);
}

/* Whatever lies in a folder that is no mount is somebody's: it is not emptied. */
static void test_place_is_never_emptied(void **state)
{
    _cleanup_free_ char *root = in_folder("env"), *file = NULL, *path = NULL;
    char name[PLACE_NAME_SIZE];

    place_name(name, "uid");
    path = xasprintf("%s/%s.home", root, name);
    file = xasprintf("%s/precious", path);
    assert_int_equal(make_directory(path, 0700, NULL), 0);
    assert_int_equal(write_file_atomic(file, STR("x"), 0600, NULL), 0);
    assert_int_equal(place_remove(root, name, NULL), -1);
    assert_true(path_exists(file));
}

/* --- last words ------------------------------------------------------------------------------------------------- */

static void said(const char *text, size_t n, const char *expected)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);
    buffer_append(&b, text, n);
    _cleanup_free_ char *lines = last_lines(&b, "secret");
    if (expected == NULL)
        assert_null(lines);
    else
        assert_string_equal(lines, expected);
}
#define SAID(text, expected) said(text, sizeof(text) - 1, expected)

static void test_last_lines(void **state)
{
    _cleanup_buffer_ struct buffer many = BUFFER_MAX(65536);

    SAID("", NULL);
    SAID("\n\n", NULL);
    SAID("one\ntwo\n", "one\ntwo");
    SAID("it is secret, secretsecret\n", "it is ******, ************");
    SAID("colour \x1b[31m\r\0\x7f.\n", "colour ?[31m ??.");
    SAID("\xc2\x9b 31m \xc2\x9d \xe2\x80\xae \xe2\x81\xa6 \xd8\x9c\tx", "? 31m ? ? ? ?\tx");
    SAID("\xe4\xb8\xad\xe6\x96\x87 \xc3\xa4", "\xe4\xb8\xad\xe6\x96\x87 \xc3\xa4");
    SAID("bad \xff \xc3 \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe4\xb8", "bad ? ? ?? ??? ???? ??");
    for (unsigned i = 0; i < 50; i++)
        buffer_printf(&many, "%u\n", i);
    said(many.p, many.n, "30\n31\n32\n33\n34\n35\n36\n37\n38\n39\n40\n41\n42\n43\n44\n45\n46\n47\n48\n49");
}

static void test_long_lines_are_cut(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    for (unsigned i = 0; i < 30000; i++)
        buffer_append(&b, i % 1000 == 999 ? "\n" : "x", 1);
    _cleanup_free_ char *lines = last_lines(&b, NULL);
    assert_int_equal(strlen(lines), 20 * 512 + 19);
    buffer_clear(&b);
    for (unsigned i = 0; i < 200; i++)
        buffer_puts(&b, "\xe4\xb8\xad");
    _cleanup_free_ char *whole = last_lines(&b, NULL);
    assert_int_equal(strlen(whole), 510); /* characters are not cut through */
    assert_null(strchr(whole, '?'));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_host_ids),
        TEST(test_home),
        TEST(test_home_of_others),
        TEST(test_home_half_made),
        TEST(test_home_with_a_skeleton),
        TEST(test_skeletons_that_are_too_much),
        TEST(test_a_folder_of_roots_is_no_home),
        TEST(test_whose_it_is_says_its_place_where_that_is_closed),
        TEST(test_folders_of_roots_in_a_home_are_left_alone),
        TEST(test_the_folder_of_homes_is_closed_again),
        TEST(test_links_are_refused),
        TEST(test_a_parent_of_others_is_refused),
        TEST(test_names),
        TEST(test_place),
        TEST(test_place_half_made),
        TEST(test_another_file_system_is_no_place),
        TEST(test_homes_on_two_disks),
        TEST(test_leftovers_are_listed),
        TEST(test_shared_is_read_only_all_the_way_down),
        TEST(test_nothing_to_share),
        TEST(test_place_is_never_emptied),
        TEST(test_last_lines),
        TEST(test_long_lines_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
