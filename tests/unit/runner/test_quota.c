/* What lies in homes, what follows of it, and the file system's own quotas: these on a disk that OPENHYDRA_QUOTA_DISK
 * names, mounted with prjquota by who knows that the kernel can. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/environment/home_use.h"
#include "runner/quota/count.h"
#include "runner/quota/project.h"

#define MIB (UINT64_C(1) << 20)

struct folder {
    char path[128];
    int fd;
};

static int begin_in(void **state, const char *parent)
{
    struct folder *f = xcalloc(1, sizeof(*f));

    snprintf(f->path, sizeof(f->path), "%s/quota-test-XXXXXX", parent);
    assert_non_null(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return 0;
}

static int begin(void **state)
{
    return begin_in(state, "/tmp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int finish(void **state)
{
    struct folder *f = *state;

    if (f == NULL)
        return 0;
    close(f->fd);
    nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static int make_file(const struct folder *f, const char *name, size_t bytes)
{
    static char block[65536];
    int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    memset(block, 'x', sizeof(block));
    for (size_t left = bytes; left;) {
        ssize_t n = write(fd, block, left < sizeof(block) ? left : sizeof(block));
        if (n < 0) {
            int why = errno;
            close(fd);
            return -why;
        }
        left -= (size_t)n;
    }
    assert_int_equal(fsync(fd), 0);
    return close(fd);
}

/* --- what lies in a folder ---------------------------------------------------------------------------------------- */

static struct count count_all(const struct folder *f)
{
    struct count c = {0};
    count_folder(f->fd, NULL, &c);
    return c;
}

static void blocks_count_and_names_of_one_file_once(void **state)
{
    struct folder *f = *state;
    uint64_t before = count_all(f).bytes;

    assert_int_equal(make_file(f, "one", 3 * MIB), 0);
    assert_int_equal(linkat(f->fd, "one", f->fd, "two", 0), 0);
    assert_int_equal(linkat(f->fd, "one", f->fd, "three", 0), 0);
    int hole = openat(f->fd, "hole", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(hole, 1 << 30), 0);
    close(hole);
    struct count c = count_all(f);
    assert_in_range(c.bytes - before, 3 * MIB - 3, 3 * MIB + 65536);
    assert_int_equal(c.files, 5);
    assert_false(c.partial);
}

static void links_lead_nowhere(void **state)
{
    struct folder *f = *state;

    assert_int_equal(symlinkat("/usr", f->fd, "usr"), 0);
    assert_int_equal(symlinkat("..", f->fd, "up"), 0);
    assert_int_equal(mkfifoat(f->fd, "pipe", 0600), 0);
    struct count c = count_all(f);
    assert_int_equal(c.files, 4);
    assert_false(c.partial);
}

static void what_is_too_deep_is_said(void **state)
{
    struct folder *f = *state;
    int at = dup(f->fd);

    for (unsigned i = 0; i < COUNT_DEEPEST + 2; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
        if (i == COUNT_DEEPEST - 2)
            assert_false(count_all(f).partial);
    }
    close(at);
    assert_true(count_all(f).partial);
}

static int three(void *arg)
{
    return ++*(int *)arg > 3 ? -1 : 0;
}

static void a_pace_ends_it(void **state)
{
    struct folder *f = *state;
    int steps = 0;
    const struct pace pace = {three, &steps};
    struct count c = {0};

    for (char name[] = "a"; *name < 'k'; (*name)++)
        assert_int_equal(make_file(f, name, 1), 0);
    count_folder(f->fd, &pace, &c);
    assert_true(c.partial);
    assert_int_equal(c.files, 4);
    assert_int_equal(steps, 4);
}

/* --- what follows of it ------------------------------------------------------------------------------------------- */

static struct home_use use(uint64_t mib, uint64_t quota_mib, bool enforced)
{
    return (struct home_use){
        .bytes = mib * MIB, .files = 1, .quota = quota_mib * MIB, .enforced = enforced, .measured_us = 1};
}

static void levels(void **state)
{
    static const struct {
        uint64_t mib, quota;
        bool enforced;
        enum home_level level;
    } rows[] = {
        {89, 100, false, HOME_WITHIN},       {90, 100, false, HOME_NEARLY_FULL}, {100, 100, false, HOME_NEARLY_FULL},
        {101, 100, false, HOME_OVER},        {110, 100, false, HOME_OVER},       {111, 100, false, HOME_REFUSED},
        {1000, 100, true, HOME_OVER},        {95, 100, true, HOME_NEARLY_FULL},  {1000, 0, false, HOME_WITHIN},
        {UINT32_MAX, 0, false, HOME_WITHIN},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct home_use u = use(rows[i].mib, rows[i].quota, rows[i].enforced);
        assert_int_equal(home_level(&u), rows[i].level);
        u.measured_us = 0;
        assert_int_equal(home_level(&u), HOME_WITHIN);
    }
}

static bool matters(struct home_use said, struct home_use now)
{
    return home_use_matters(&said, &now);
}

/* Twenty thousand of them may not write for each file that somebody saves. */
static void what_is_worth_saying(void **state)
{
    struct home_use unknown = {0}, more = use(50, 100, false);

    assert_true(matters(unknown, use(0, 100, false)));
    assert_false(matters(unknown, (struct home_use){.quota = 100 * MIB, .measured_us = 1}));
    assert_false(matters(use(50, 100, false), use(50, 100, false)));
    assert_false(matters(use(50, 100, false), use(54, 100, false)));
    assert_true(matters(use(50, 100, false), use(55, 100, false)));
    assert_true(matters(use(50, 100, false), use(45, 100, false)));
    assert_true(matters(use(89, 100, false), use(90, 100, false)));
    assert_true(matters(use(100, 100, false), use(101, 100, false)));
    assert_true(matters(use(50, 100, false), use(50, 101, false)));
    assert_true(matters(use(50, 100, false), use(50, 100, true)));
    assert_false(matters(use(10, 0, false), use(73, 0, false)));
    assert_true(matters(use(10, 0, false), use(74, 0, false)));
    assert_false(matters(use(10000, 0, false), use(10400, 0, false)));
    assert_true(matters(use(10000, 0, false), use(10500, 0, false)));
    more.files = 100000;
    assert_false(matters(use(50, 100, false), more));
    more.partial = true;
    assert_true(matters(use(50, 100, false), more));
}

/* --- quotas of the file system ------------------------------------------------------------------------------------ */

#define PROJECT 1879113728

static int begin_on_disk(void **state)
{
    const char *disk = getenv("OPENHYDRA_QUOTA_DISK");

    if (disk)
        return begin_in(state, disk);
    print_message("skipped: OPENHYDRA_QUOTA_DISK names no disk with project quotas\n");
    *state = NULL;
    return 0;
}

static uint32_t project_of(const struct folder *f, const char *name)
{
    struct fsxattr x;
    _cleanup_close_ int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);

    assert_int_equal(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
    return x.fsx_projid;
}

static void there_is_none_where_there_is_none(void **state)
{
    struct folder *f = *state;

    assert_false(project_quotas_at(f->fd));
    assert_false(project_is_marked(f->fd, PROJECT));
}

static void a_home_is_limited(void **state)
{
    struct folder *f = *state;
    struct project_use u;

    if (f == NULL)
        skip();
    assert_true(project_quotas_at(f->fd));
    assert_int_equal(make_file(f, "before", 2 * MIB), 0);
    assert_int_equal(mkdirat(f->fd, "folder", 0700), 0);
    assert_int_equal(make_file(f, "folder/before", 2 * MIB), 0);
    assert_int_equal(symlinkat("/etc/passwd", f->fd, "link"), 0);
    assert_int_equal(project_mark(f->fd, PROJECT, NULL, NULL), 1);
    assert_int_equal(project_of(f, "folder/before"), PROJECT);
    assert_int_equal(project_use(f->fd, PROJECT, &u, NULL), 0);
    assert_in_range(u.bytes, 4 * MIB, 4 * MIB + 65536);
    assert_int_equal(u.files, 4); /* the link's number is 0 */
    assert_int_equal(u.limit, 0);

    assert_int_equal(project_limit(f->fd, PROJECT, 8 * MIB, NULL), 0);
    assert_int_equal(project_use(f->fd, PROJECT, &u, NULL), 0);
    assert_int_equal(u.limit, 8 * MIB);
    /* Root is not held back: whoever is in an environment is. */
    pid_t child = fork();
    if (child == 0) {
        if (fchmod(f->fd, 0777) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
            _exit(1);
        int rc = make_file(f, "more", 6 * MIB);
        _exit(rc == -EDQUOT || rc == -ENOSPC ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(project_limit(f->fd, PROJECT, 0, NULL), 0);
}

static void marking_is_gone_on_with(void **state)
{
    struct folder *f = *state;
    char name[32];
    unsigned rounds = 0;
    int done = 0;

    if (f == NULL)
        skip();
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        assert_int_equal(mkdirat(f->fd, name, 0700), 0);
        snprintf(name, sizeof(name), "d%u/file", i);
        assert_int_equal(make_file(f, name, 1), 0);
    }
    /* Each time a few steps more: enough for all folders that are done, and one more with its file. */
    while (!done && ++rounds < 100) {
        int before = -(int)rounds;
        const struct pace pace = {three, &before};
        done = project_mark(f->fd, PROJECT + 1, &pace, NULL);
        assert_true(done >= 0);
        assert_true(done == project_is_marked(f->fd, PROJECT + 1));
    }
    assert_true(done);
    assert_true(rounds > 1);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "d%u/file", i);
        assert_int_equal(project_of(f, name), PROJECT + 1);
    }
    assert_int_equal(make_file(f, "d3/later", 1), 0);
    assert_int_equal(project_of(f, "d3/later"), PROJECT + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
#define TEST_ON_DISK(name) cmocka_unit_test_setup_teardown(name, begin_on_disk, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_count_and_names_of_one_file_once),
        TEST(links_lead_nowhere),
        TEST(what_is_too_deep_is_said),
        TEST(a_pace_ends_it),
        cmocka_unit_test(levels),
        cmocka_unit_test(what_is_worth_saying),
        TEST(there_is_none_where_there_is_none),
        TEST_ON_DISK(a_home_is_limited),
        TEST_ON_DISK(marking_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
