/* What is left to somebody who takes the unpacking program over. */
#include "unpack/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "unpack/wire.h"

static const struct unpack_limits limits = {.bytes = 1 << 20};
static char folder[] = "/tmp/oh-sealed-XXXXXX";

static bool refused(long rc, int with)
{
    return rc == -1 && errno == with;
}

static long open_anywhere(int at, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags, .mode = flags & O_CREAT ? 0600 : 0};
    return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* Returns the line of what is not as it should be. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return __LINE__ % 256;                                                                                     \
    } while (0)

static int look_at_calls(void)
{
    EXPECT(refused(open("/etc/passwd", O_RDONLY), EPERM));
    EXPECT(refused(socket(AF_INET, SOCK_STREAM, 0), EPERM));
    EXPECT(refused(socket(AF_UNIX, SOCK_STREAM, 0), EPERM));
    EXPECT(refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM));
    EXPECT(refused(execl("/bin/true", "true", NULL), EPERM));
    EXPECT(refused(kill(getppid(), 0), EPERM));
    EXPECT(refused(unlinkat(UNPACK_FOLDER, "f", 0), EPERM));
    EXPECT(refused(renameat(UNPACK_FOLDER, "f", UNPACK_FOLDER, "g"), EPERM));
    EXPECT(refused(symlinkat("/etc", UNPACK_FOLDER, "l"), EPERM));
    EXPECT(refused(linkat(UNPACK_FOLDER, "f", UNPACK_FOLDER, "l", 0), EPERM));
    EXPECT(refused(mknodat(UNPACK_FOLDER, "n", S_IFIFO | 0600, 0), EPERM));
    EXPECT(refused(fchmodat(UNPACK_FOLDER, "f", 04755, 0), EPERM));
    EXPECT(refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM));
    return 0;
}

static int look_at_files(bool landlock)
{
    EXPECT(open_anywhere(UNPACK_FOLDER, "f", O_WRONLY | O_CREAT | O_EXCL) >= 0);
    EXPECT(mkdirat(UNPACK_FOLDER, "d", 0755) == 0);
    EXPECT(open_anywhere(UNPACK_FOLDER, "d", O_PATH | O_DIRECTORY) >= 0);
    if (!landlock)
        return 0;
    EXPECT(refused(open_anywhere(AT_FDCWD, "/etc/passwd", O_RDONLY), EACCES));
    EXPECT(refused(open_anywhere(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY), EACCES));
    EXPECT(refused(open_anywhere(UNPACK_FOLDER, "../oh-sealed-evil", O_WRONLY | O_CREAT), EACCES));
    EXPECT(refused(mkdirat(AT_FDCWD, "/tmp/oh-sealed-evil", 0755), EACCES));
    EXPECT(refused(open_anywhere(UNPACK_FOLDER, "f", O_RDONLY), EACCES));
    return 0;
}

static int look(pid_t parent, int at)
{
    bool landlock = has_landlock();
    struct rlimit cpu, core, size;

    EXPECT(dup2(at, UNPACK_FOLDER) == UNPACK_FOLDER);
    EXPECT(sealed_begin(parent, &limits, NULL) == 0);
    EXPECT(getrlimit(RLIMIT_CPU, &cpu) == 0 && cpu.rlim_max == 121);
    EXPECT(getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_max == limits.bytes);
    EXPECT(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    EXPECT(fcntl(UNPACK_FOLDER + 1, F_GETFD) < 0);
    EXPECT(sealed_finish(UNPACK_FOLDER, NULL) == 0);
    int line = look_at_calls();
    return line ? line : look_at_files(landlock);
}

static int apart(pid_t parent)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(look(parent ? parent : getppid(), at));
    close(at);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_what_is_left(void **state)
{
    assert_int_equal(apart(0), 0);
}

static void test_it_does_not_outlive_who_started_it(void **state)
{
    assert_int_not_equal(apart(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_it_does_not_outlive_who_started_it),
    };

    if (mkdtemp(folder) == NULL)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL), at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unlinkat(at, "f", 0);
    unlinkat(at, "d", AT_REMOVEDIR);
    rmdir(folder);
    return rc;
}
