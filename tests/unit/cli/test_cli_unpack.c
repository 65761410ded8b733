/* The server unpacks archives after it has given up its rights, by a program that lies where it can no longer look. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "cli/apart.h"
#include "cli/become.h"
#include "cli/confine.h"
#include "server/content/unpack.h"

#define NOBODY 65534

static char top[] = "/tmp/oh-unpack-XXXXXX";
static char closed[64], program[96], into[64];

/* Into a folder of ours alone. */
static void copy_program(void)
{
    struct stat st;
    _cleanup_close_ int from = open(getenv("OPEN_HYDRA_UNPACK"), O_RDONLY | O_CLOEXEC);
    assert_true(from >= 0 && fstat(from, &st) == 0);
    _cleanup_close_ int to = open(program, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(to >= 0);
    for (ssize_t n = 0; st.st_size; st.st_size -= n)
        assert_true((n = sendfile(to, from, NULL, (size_t)st.st_size)) > 0);
}

static int try(void *arg, struct error **err)
{
    const struct unpack_limits limits = {.bytes = 1000, .entries = 10, .depth = 10};
    struct unpack_result result;
    _cleanup_close_ int archive = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (archive < 0 || write(archive, "a,b\n", 4) != 4 || unpack_prepare(program, err) < 0)
        return error_set(err, REASON_INTERNAL, "preparing");
    if (confine_network(err) < 0 || become(geteuid() == 0 ? NOBODY : geteuid(), err) < 0 || confine_calls(err) < 0)
        return -1;
    if (geteuid() == NOBODY && access(program, F_OK) == 0)
        return error_set(err, REASON_INTERNAL, "the program can still be looked at");
    _cleanup_close_ int folder = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unpack(archive, "x.csv", folder, &limits, NULL, NULL, &result, err) < 0)
        return -1;
    return result.bytes == 4 && result.files == 1 ? 0 : error_set(err, REASON_INTERNAL, "what came of it is wrong");
}

static void test_after_rights_are_given_up(void **state)
{
    struct error *err = NULL;
    char file[96];

    int rc = apart(try, NULL, &err);
    if (rc < 0)
        print_message("%s\n", err->message);
    assert_int_equal(rc, 0);
    snprintf(file, sizeof(file), "%s/x.csv", into);
    _cleanup_free_ char *content = read_file(file, 100, NULL, NULL);
    assert_string_equal(content, "a,b\n");
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_after_rights_are_given_up)};

    if (mkdtemp(top) == NULL || chmod(top, 0755) < 0)
        return 1;
    snprintf(closed, sizeof(closed), "%s/closed", top);
    snprintf(program, sizeof(program), "%s/closed/program", top);
    snprintf(into, sizeof(into), "%s/into", top);
    if (mkdir(closed, 0700) < 0 || mkdir(into, 0755) < 0 || (geteuid() == 0 && chown(into, NOBODY, NOBODY) < 0))
        return 1;
    copy_program();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(program);
    rmdir(closed);
    rmdir(into);
    rmdir(top);
    return rc;
}
