/* Whose a home is, and that all in it is that user's. Owners need root. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/io.h"
#include "base/str.h"
#include "runner/home_deeds.h"
#include "runner/homes/menders.h"
#include "runner/homes/whose.h"
#include "support/kill_at.h"

#define FIRST 1900019712u
#define SIZE 65536u
#define STUDENT (FIRST + 1000)

static char folder[32];
static int parent;
static struct arena *arena;

static int set_up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/runner-homes-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    arena = arena_new();
    char *path = arena_printf(arena, "%s/plain", folder);
    if (mkdir(path, 0700) < 0)
        return -1;
    parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
    return remove(path);
}

static int take_down(void **state)
{
    close(parent);
    arena_free(arena);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool skip_without_root(void)
{
    if (geteuid() == 0)
        return false;
    print_message("needs root\n");
    return true;
}

static const char *in(const char *name)
{
    return arena_printf(arena, "%s/plain/%s", folder, name);
}

static void make_file(const char *name, uid_t owner, const char *text)
{
    assert_int_equal(write_file_atomic(in(name), str_from(text), 0600, NULL), 0);
    assert_int_equal(chown(in(name), owner, owner), 0);
}

static void make_dir(const char *name, uid_t owner)
{
    assert_int_equal(mkdir(in(name), 0700), 0);
    assert_int_equal(chown(in(name), owner, owner), 0);
}

static struct stat look(const char *name)
{
    struct stat st;

    if (lstat(in(name), &st) < 0)
        fail_msg("%s is not there", name);
    return st;
}

#define assert_is_students(name) assert_true(look(name).st_uid == STUDENT && look(name).st_gid == STUDENT)

/* --- Whose ------------------------------------------------------------------------------------------------------ */

static const struct home_claim first = {"ada", "uid-1", {FIRST, SIZE}, {0}};
static const struct home_claim second = {"ada", "uid-2", {FIRST + SIZE, SIZE}, {FIRST, SIZE}};

static struct home_record settle(const struct home_claim *c, char kept[KEPT_NAME_SIZE])
{
    _cleanup_error_ struct error *err = NULL;
    struct home_record record, read;
    _cleanup_close_ int lock = homes_lock(parent, NULL);

    if (whose_settle(parent, c, &record, kept, &err) < 0)
        fail_msg("%s", err->message);
    assert_int_equal(record_read(parent, c->user, &read, NULL), 1);
    assert_string_equal(read.uid, record.uid);
    assert_true(read.seen.first == record.seen.first && read.seen.size == record.seen.size);
    return record;
}

static void test_a_new_home_is_the_users(void **state)
{
    char kept[KEPT_NAME_SIZE];
    struct home_record r = settle(&first, kept);

    assert_true(streq(r.uid, "uid-1") && r.seen.first == FIRST && r.seen.size == SIZE && *kept == '\0');
    make_dir("ada", geteuid());
    assert_string_equal(settle(&first, kept).uid, "uid-1");
    assert_true(*kept == '\0' && path_exists(in("ada")));
    assert_int_equal(look(".open-hydra").st_mode & 07777, 0700);
}

static void test_a_home_of_before_is_the_present_users(void **state)
{
    char kept[KEPT_NAME_SIZE];

    make_dir("ada", geteuid());
    struct home_record r = settle(&first, kept);
    assert_true(streq(r.uid, "uid-1") && r.seen.size == 0 && *kept == '\0' && path_exists(in("ada")));
}

static void test_a_former_users_home_is_set_aside(void **state)
{
    char kept[KEPT_NAME_SIZE], again[KEPT_NAME_SIZE];
    struct kept_name k;

    settle(&first, kept);
    make_dir("ada", geteuid());
    make_file("ada/diary", geteuid(), "secret");
    struct home_record r = settle(&second, kept);
    assert_true(streq(r.uid, "uid-2") && r.seen.first == FIRST + SIZE && !path_exists(in("ada")));
    assert_true(kept_parse(kept, &k) && str_is(k.user, "ada") && str_is(k.uid, "uid-1"));
    assert_true(path_exists(in(arena_printf(arena, ".open-hydra/kept/%s/diary", kept))));
    /* Nobody's is replaced, even in the same second; and a home that is not there is not set aside. */
    settle(&first, again);
    assert_true(*again == '\0');
    make_dir("ada", geteuid());
    settle(&second, again);
    assert_true(*again && !streq(again, kept) &&
                path_exists(in(arena_printf(arena, ".open-hydra/kept/%s/diary", kept))));
}

static void test_an_unmarked_home_with_a_former_users_ids_is_set_aside(void **state)
{
    char kept[KEPT_NAME_SIZE];
    struct kept_name k;

    if (skip_without_root())
        return;
    static const uid_t others[] = {FIRST - 1, FIRST + SIZE, 0, 1000};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) { /* of a backup, perhaps: the present user's */
        make_dir("ada", others[i]);
        settle(&second, kept);
        assert_true(*kept == '\0' && path_exists(in("ada")));
        assert_int_equal(record_remove(parent, "ada", NULL), 0);
        assert_int_equal(rmdir(in("ada")), 0);
    }
    make_dir("ada", FIRST + SIZE - 1);
    settle(&second, kept);
    assert_true(kept_parse(kept, &k) && str_is(k.uid, KEPT_UNKNOWN) && !path_exists(in("ada")));
}

static void test_a_record_that_cannot_be_read_gives_nothing_away(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"uid\":\"uid-2\"}",
                                        "{\"since\":\"2026-01-01T00:00:00Z\"}",
                                        "{\"uid\":7,\"since\":\"2026-01-01T00:00:00Z\"}"};
    char kept[KEPT_NAME_SIZE];

    settle(&first, kept);
    make_dir("ada", geteuid());
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_error_ struct error *err = NULL;
        struct home_record record;
        assert_int_equal(write_file_atomic(in(".open-hydra/owners/ada"), str_from(texts[i]), 0600, NULL), 0);
        assert_int_equal(whose_settle(parent, &second, &record, kept, &err), -1);
        assert_int_equal(err->reason, REASON_FORBIDDEN);
        assert_non_null(strstr(err->message, ".open-hydra/owners/ada"));
        assert_true(path_exists(in("ada")));
    }
}

static void test_names_of_kept_homes(void **state)
{
    static const char *const bad[] = {"",
                                      "ada",
                                      "ada.20261128T083000Z",
                                      "ada.20261128T083000Z.",
                                      "Ada.20261128T083000Z.u",
                                      "ada.2026-11-28.u",
                                      "ada.20261128t083000Z.u",
                                      ".20261128T083000Z.u"};
    struct kept_name k;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(kept_parse(bad[i], &k));
    assert_true(kept_parse("ada.20261128T083000Z.u-1.2", &k) && str_is(k.uid, "u-1") &&
                str_is(k.date, "20261128T083000Z"));
}

static void settle_second(void *arg)
{
    struct home_record record;
    char kept[KEPT_NAME_SIZE];
    _cleanup_close_ int lock = homes_lock(parent, NULL);

    if (whose_settle(parent, &second, &record, kept, NULL) < 0 || mkdirat(parent, "ada", 0700) < 0)
        _exit(1);
}

static unsigned count_kept(void)
{
    struct roster r = {.arena = arena};
    const struct homes_config c = {.workspace = folder};
    unsigned n = 0;

    assert_int_equal(roster_read(&r, &c, NULL), 0);
    for (size_t i = 0; i < r.n; i++)
        n += r.list[i].kind == HOME_KEPT;
    return n;
}

/* Wherever it is killed, the next start gives the new user nothing of the former one's, and loses nothing. */
static void test_a_kill_gives_nothing_away(void **state)
{
    char kept[KEPT_NAME_SIZE];
    unsigned n = 0;

    for (;; n++) {
        settle(&first, kept);
        make_dir("ada", geteuid());
        make_file("ada/diary", geteuid(), "secret");
        bool killed = kill_at(n, settle_second, NULL);
        settle(&second, kept);
        assert_false(path_exists(in("ada/diary")));
        assert_int_equal(count_kept(), n + 1); /* each once, none twice */
        (void)rmdir(in("ada"));
        assert_int_equal(record_remove(parent, "ada", NULL), 0);
        if (!killed)
            break;
    }
    assert_true(n > 20);
}

/* --- Mend ------------------------------------------------------------------------------------------------------- */

static const struct mend_order order = {STUDENT, {FIRST, SIZE}, {0}};

static struct mend_count mend(const struct mend_order *o)
{
    _cleanup_close_ int home = open(in("ada"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mend_count count = {0};
    atomic_bool stop = false;

    assert_true(mend_home(home, o, &stop, &count));
    return count;
}

static bool is_needed(void)
{
    _cleanup_close_ int home = open(in("ada"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return mend_is_needed(home, &order);
}

static void test_what_a_look_sees(void **state)
{
    static const char *const seen[] = {"x", ".local/share/jupyter/runtime", ".local/share/x", ".jupyter/x"};

    if (skip_without_root())
        return;
    make_dir("ada", STUDENT);
    static const char *const dirs[] = {"ada/.local",   "ada/.local/share", "ada/.local/share/jupyter",
                                       "ada/.jupyter", "ada/deep",         "ada/deep/er"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        make_dir(dirs[i], STUDENT);
    assert_false(is_needed());
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        const char *name = arena_printf(arena, "ada/%s", seen[i]);
        make_file(name, 0, "");
        assert_true(is_needed());
        assert_int_equal(chown(in(name), FIRST, 0), 0); /* a group stops nobody */
        assert_false(is_needed());
    }
    make_file("ada/deep/er/x", 0, "");
    assert_false(is_needed()); /* the whole of it is looked through behind the start */
    assert_int_equal(chown(in("ada"), 1000, 1000), 0);
    assert_true(is_needed());
}

static void test_all_of_it_is_given_to_the_user(void **state)
{
    if (skip_without_root())
        return;
    make_dir("ada", 1000);
    make_dir("ada/deep", 0);
    make_dir("ada/deep/er", 1000);
    make_file("ada/deep/er/x", 0, "x");
    make_file("ada/mine", FIRST + 33, "x"); /* another user of the image's */
    assert_int_equal(symlink("/etc/passwd", in("ada/link")), 0);
    assert_int_equal(mkfifo(in("ada/pipe"), 0600), 0);
    struct mend_count n = mend(&order);
    assert_true(n.looked == 6 && n.mended == 6 && n.left == 0);
    static const char *const all[] = {"ada", "ada/deep", "ada/deep/er", "ada/deep/er/x", "ada/link", "ada/pipe"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_is_students(all[i]);
    assert_int_equal(look("ada/mine").st_uid, FIRST + 33);
    n = mend(&order);
    assert_true(n.looked == 6 && n.mended == 0 && n.left == 0);
}

static void test_users_of_an_image_stay_apart(void **state)
{
    const struct mend_order o = {STUDENT, {FIRST, SIZE}, {FIRST - SIZE, SIZE}};

    if (skip_without_root())
        return;
    make_dir("ada", FIRST - SIZE + 1000);
    make_file("ada/root", FIRST - SIZE, "x");
    make_file("ada/last", FIRST - 1, "x");
    make_file("ada/other", FIRST - SIZE - 1, "x");
    mend(&o);
    assert_is_students("ada");
    assert_is_students("ada/other");
    assert_int_equal(look("ada/root").st_uid, FIRST);
    assert_int_equal(look("ada/last").st_gid, FIRST + SIZE - 1);
}

static void test_nothing_outside_is_reached(void **state)
{
    if (skip_without_root())
        return;
    make_dir("away", 0);
    make_file("away/file", 0, "x");
    make_file("away/other", 0, "x");
    make_dir("ada", 1000);
    make_dir("ada/mount", 0);
    assert_int_equal(symlink("../away", in("ada/folder")), 0);
    assert_int_equal(symlink("../away/file", in("ada/file")), 0);
    assert_int_equal(link(in("away/other"), in("ada/name")), 0); /* as a backup by `cp -al` has it */
    assert_int_equal(mknod(in("ada/disk"), S_IFBLK | 0600, makedev(7, 0)), 0);
    assert_int_equal(mount("none", in("ada/mount"), "tmpfs", 0, "mode=0755"), 0);
    make_file("ada/mount/x", 0, "x");
    struct mend_count n = mend(&order);
    assert_int_equal(look("ada/mount/x").st_uid, 0);
    assert_int_equal(umount(in("ada/mount")), 0);
    assert_true(n.left == 2 && n.mended == 3); /* left: the name and the disk; the home and two links are given */
    assert_true(look("away").st_uid == 0 && look("away/file").st_uid == 0 && look("away/other").st_uid == 0);
    assert_int_equal(look("ada/disk").st_uid, 0);
    assert_is_students("ada/folder");
}

static void test_names_within_the_home_are_one_file(void **state)
{
    if (skip_without_root())
        return;
    make_dir("ada", 1000);
    make_dir("ada/a", 1000);
    make_file("ada/a/x", 0, "x");
    assert_int_equal(link(in("ada/a/x"), in("ada/y")), 0);
    assert_int_equal(link(in("ada/a/x"), in("ada/z")), 0);
    usleep(100000); /* what has just been renamed may be counted twice */
    struct mend_count n = mend(&order);
    assert_true(n.mended == 3 && n.left == 0);
    assert_is_students("ada/y");
}

/* A further name outside of the home is not made good by one in it that is found twice. */
static void test_what_is_moved_about_is_left(void **state)
{
    if (skip_without_root())
        return;
    make_dir("ada", STUDENT);
    make_dir("ada/a", STUDENT);
    make_file("ada/a/x", 0, "x");
    assert_int_equal(link(in("ada/a/x"), in("ada/a/y")), 0);
    usleep(100000);
    assert_int_equal(rename(in("ada/a"), in("ada/b")), 0); /* the folder is changed by that, and no file */
    struct mend_count n = mend(&order);
    assert_true(n.mended == 0 && n.left == 2);
    assert_int_equal(look("ada/b/x").st_uid, 0);
    usleep(100000);
    n = mend(&order);
    assert_true(n.mended == 1 && n.left == 0);
}

/* What ran as root for whoever started it does not run as the user for others. */
static void test_set_id_bits_go(void **state)
{
    if (skip_without_root())
        return;
    make_dir("ada", 1000);
    make_file("ada/su", 0, "x");
    assert_int_equal(chmod(in("ada/su"), 06755), 0);
    mend(&order);
    assert_is_students("ada/su");
    assert_int_equal(look("ada/su").st_mode & 07777, 0755);
}

static void test_deeper_than_anybody_looks(void **state)
{
    if (skip_without_root())
        return;
    make_dir("ada", 1000);
    int at = open(in("ada"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < 700; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    struct mend_count n = mend(&order);
    assert_true(n.left == 1 && n.mended == 512);
    assert_is_students("ada");
    assert_is_students("ada/d/d/d");
}

static void mend_in_child(void *arg)
{
    int home = open(in("ada"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mend_count count = {0};
    atomic_bool stop = false;

    if (!mend_home(home, &order, &stop, &count))
        _exit(1);
}

/* As long as anything is wrong, the way there is: the next start sees it, and goes on. */
static void test_a_kill_is_made_good(void **state)
{
    static const char *const all[] = {"ada/a/x", "ada/a/y", "ada/a", "ada/b/c/z", "ada/b/c", "ada/b", "ada"};
    unsigned n = 0;

    if (skip_without_root())
        return;
    make_dir("ada", 0);
    make_dir("ada/a", 0);
    make_file("ada/a/x", 0, "");
    make_file("ada/a/y", 0, "");
    make_dir("ada/b", 0);
    make_dir("ada/b/c", 0);
    make_file("ada/b/c/z", 0, "");
    for (;; n++) {
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            assert_int_equal(chown(in(all[i]), 0, 0), 0);
        bool killed = kill_at(n, mend_in_child, NULL);
        bool right = true;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            right = right && look(all[i]).st_uid == STUDENT;
        assert_true(is_needed() == !right);
        mend(&order);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            assert_is_students(all[i]);
        if (!killed)
            break;
    }
    assert_true(n > 20);
}

/* --- Threads ---------------------------------------------------------------------------------------------------- */

static struct mend_request request_of(const char *user)
{
    struct mend_request r = {.path = in(user),
                             .parent = parent,
                             .home = open(in(user), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                             .user = user,
                             .order = order};
    assert_int_equal(record_read(parent, user, &r.record, NULL), 1);
    return r;
}

static void test_a_start_waits_and_others_do_not(void **state)
{
    struct menders *m = menders_new();
    const char *progress = NULL;
    char kept[KEPT_NAME_SIZE];
    int rc;

    if (skip_without_root()) {
        menders_free(m);
        return;
    }
    settle(&first, kept);
    make_dir("ada", 1000);
    make_file("ada/x", 0, "x");
    struct mend_request r = request_of("ada");
    assert_int_equal(menders_ask(m, &r, false, arena, &progress, NULL), 0); /* nothing is needed */
    assert_int_equal(menders_ask(m, &r, true, arena, &progress, NULL), 1);
    assert_non_null(strstr(progress, "this home"));
    while ((rc = menders_ask(m, &r, mend_is_needed(r.home, &order), arena, &progress, NULL)) == 1)
        usleep(1000);
    assert_int_equal(rc, 0);
    assert_is_students("ada/x");
    close(r.home);
    menders_free(m);
}

static bool is_seen(void)
{
    struct home_record record;
    return record_read(parent, "ada", &record, NULL) == 1 && record.seen.first == FIRST && record.seen.size == SIZE;
}

/* A home of before, which nobody has looked through. */
static void test_the_rest_is_looked_through_behind_a_start(void **state)
{
    struct menders *m = menders_new();
    char kept[KEPT_NAME_SIZE];

    if (skip_without_root()) {
        menders_free(m);
        return;
    }
    make_dir("ada", STUDENT);
    settle(&first, kept);
    make_dir("ada/deep", STUDENT);
    make_dir("ada/deep/er", STUDENT);
    make_file("ada/deep/er/x", 0, "x");
    assert_false(is_seen());
    struct mend_request r = request_of("ada");
    menders_look(m, &r);
    while (!is_seen())
        usleep(1000);
    assert_is_students("ada/deep/er/x");
    close(r.home);
    menders_free(m);
}

/* --- What an administrator does --------------------------------------------------------------------------------- */

static struct roster read_all(void)
{
    struct roster r = {.arena = arena};
    const struct homes_config c = {.workspace = folder};

    assert_int_equal(roster_read(&r, &c, NULL), 0);
    return r;
}

static const struct home_entry *find(const char *id)
{
    struct roster *r = arena_alloc(arena, sizeof(*r));

    *r = read_all();
    return roster_find(r, id, NULL);
}

static char source[KEPT_NAME_SIZE + 8];

static void attach(void *arg)
{
    const struct home_deed d = {in("nowhere"), arena, false};
    const struct home_entry *e = find(source);

    if (freopen("/dev/null", "w", stdout) == NULL || e == NULL || home_attach(&d, e, "ada", "uid-2", NULL) < 0)
        _exit(1);
}

static bool is_somewhere(const char *file)
{
    struct roster r = read_all();

    for (size_t i = 0; i < r.n; i++)
        if (path_exists(arena_printf(arena, "%s/%s", home_entry_path(arena, &r.list[i]), file)))
            return true;
    return false;
}

static bool run_whole(void (*work)(void *arg))
{
    return !kill_at(UINT32_MAX / 4, work, NULL);
}

static void begin_anew(void)
{
    assert_int_equal(take_down(NULL), 0);
    assert_int_equal(set_up(NULL), 0);
}

/* Of two homes: that of the former user, and the present one's, which has what a start makes, or a file of the user's. */
static void attach_with_kills(bool used)
{
    const char *goal = used ? "ada/former-home-of-ada/diary" : "ada/diary";
    char kept[KEPT_NAME_SIZE];
    bool killed = true;
    unsigned n = 0;

    for (; killed; n++) {
        begin_anew();
        settle(&first, kept);
        make_dir("ada", geteuid());
        make_file("ada/diary", geteuid(), "secret");
        settle(&second, kept);
        snprintf(source, sizeof(source), "plain/%s", kept);
        make_dir("ada", geteuid());
        make_dir("ada/.local", geteuid());
        if (used)
            make_file("ada/new", geteuid(), "new");
        killed = kill_at(n, attach, NULL);
        assert_true(is_somewhere(used ? "former-home-of-ada/diary" : "diary") || is_somewhere("diary"));
        assert_true(!used || path_exists(in("ada/new")));
        if (!path_exists(in(goal)))
            assert_true(killed && run_whole(attach)); /* once more ends it */
        assert_true(path_exists(in(goal)));
        assert_int_equal(settle(&second, kept).seen.size, 0); /* that user's, and to be looked through */
        assert_string_equal(kept, "");
    }
    assert_true(n > 20);
}

static void test_a_kept_home_is_attached(void **state)
{
    attach_with_kills(false);
}

static void test_a_kept_home_becomes_a_folder(void **state)
{
    attach_with_kills(true);
}

static void remove_it(void *arg)
{
    const struct home_deed d = {in("nowhere"), arena, false};
    const struct home_entry *e = find(source);

    if (freopen("/dev/null", "w", stdout) == NULL || e == NULL || home_remove(&d, e, NULL) < 0)
        _exit(1);
}

static void test_a_home_is_removed(void **state)
{
    char kept[KEPT_NAME_SIZE];
    bool killed = true;
    unsigned n = 0;

    for (; killed; n++) {
        begin_anew();
        settle(&first, kept);
        make_dir("ada", geteuid());
        make_file("ada/diary", geteuid(), "secret");
        snprintf(source, sizeof(source), "plain/ada");
        killed = kill_at(n, remove_it, NULL);
        struct roster r = read_all();
        assert_true(r.n <= 1); /* whole in its place, aside, or being removed */
        if (r.n && r.list[0].kind != HOME_REMOVED)
            assert_true(is_somewhere("diary"));
        if (r.n) {
            snprintf(source, sizeof(source), "%s", r.list[0].id);
            assert_true(run_whole(remove_it));
        }
        r = read_all();
        assert_int_equal(r.n, 0);
    }
    assert_true(n > 20);
}

/* While somebody was asked whether it is meant, or before. */
static void test_what_became_anothers_is_left(void **state)
{
    const struct home_deed d = {in("nowhere"), arena, false};
    _cleanup_error_ struct error *err = NULL;
    char kept[KEPT_NAME_SIZE];

    settle(&first, kept);
    make_dir("ada", geteuid());
    const struct home_entry *e = find("plain/ada");
    assert_non_null(e);
    settle(&second, kept);
    make_dir("ada", geteuid());
    assert_int_equal(home_remove(&d, e, &err), -1);
    assert_int_equal(err->reason, REASON_CONFLICT);
    assert_true(path_exists(in("ada")));
}

static void test_what_is_named_is_found(void **state)
{
    char kept[KEPT_NAME_SIZE];
    _cleanup_error_ struct error *err = NULL, *more = NULL;
    struct roster r;

    settle(&first, kept);
    make_dir("ada", geteuid());
    settle(&second, kept);
    make_dir("ada", geteuid());
    make_dir("adam", geteuid());
    r = read_all();
    assert_int_equal(r.n, 3);
    assert_int_equal(roster_find(&r, "plain/ada", NULL)->kind, HOME_PRESENT);
    assert_int_equal(roster_find(&r, "plain/ada.", NULL)->kind, HOME_KEPT);
    assert_string_equal(roster_find(&r, "plain/ada.", NULL)->uid, "uid-1");
    assert_string_equal(roster_find(&r, "plain/adam", NULL)->uid, "");
    assert_null(roster_find(&r, "plain/a", &err));
    assert_non_null(strstr(err->message, "3 homes"));
    assert_null(roster_find(&r, "plain/bob", &more));
    assert_int_equal(more->reason, REASON_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_home_is_the_users),
        TEST(test_a_home_of_before_is_the_present_users),
        TEST(test_a_former_users_home_is_set_aside),
        TEST(test_an_unmarked_home_with_a_former_users_ids_is_set_aside),
        TEST(test_a_record_that_cannot_be_read_gives_nothing_away),
        TEST(test_names_of_kept_homes),
        TEST(test_a_kill_gives_nothing_away),
        TEST(test_what_a_look_sees),
        TEST(test_all_of_it_is_given_to_the_user),
        TEST(test_users_of_an_image_stay_apart),
        TEST(test_nothing_outside_is_reached),
        TEST(test_names_within_the_home_are_one_file),
        TEST(test_what_is_moved_about_is_left),
        TEST(test_set_id_bits_go),
        TEST(test_deeper_than_anybody_looks),
        TEST(test_a_kill_is_made_good),
        TEST(test_a_start_waits_and_others_do_not),
        TEST(test_the_rest_is_looked_through_behind_a_start),
        TEST(test_a_kept_home_is_attached),
        TEST(test_a_kept_home_becomes_a_folder),
        TEST(test_a_home_is_removed),
        TEST(test_what_became_anothers_is_left),
        TEST(test_what_is_named_is_found),
    };
    return cmocka_run_group_tests_name("runner: homes", tests, NULL, NULL);
}
