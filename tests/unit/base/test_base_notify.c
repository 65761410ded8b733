/* What a service manager is told, and in what form the journal gets lines. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/notify.h"

static int manager_socket(const char *name, char *variable, size_t size)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s-%d", name, (int)getpid());

    snprintf(variable, size, "%s", a.sun_path);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0';
    else
        unlink(a.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
                     0);
    return fd;
}

static void is_told(const char *name)
{
    char variable[108], text[64] = "";
    _cleanup_close_ int fd = manager_socket(name, variable, sizeof(variable));

    setenv("NOTIFY_SOCKET", variable, 1);
    notify_take();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), -1);
    notify_ready();
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    if (variable[0] == '/')
        unlink(variable);
}

static void test_nobody_asked(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    notify_take();
    notify_ready();
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_take();
    assert_null(getenv("NOTIFY_SOCKET"));
    notify_ready();
}

static void test_path(void **state)
{
    is_told("/tmp/open-hydra-notify");
}

static void test_abstract(void **state)
{
    is_told("@open-hydra-notify");
}

/* The line that log_warning writes with this in JOURNAL_STREAM; NULL: what is true of standard error. */
static void line_with(const char *stream, char *out, size_t size)
{
    char own[64];
    int fds[2], saved = dup(STDERR_FILENO);
    struct stat st;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    dup2(fds[1], STDERR_FILENO);
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream ? stream : own, 1);
    log_set_journal();
    log_warning("text");
    unsetenv("JOURNAL_STREAM");
    log_set_journal();
    dup2(saved, STDERR_FILENO);
    ssize_t n = read(fds[0], out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    close(fds[1]);
    close(saved);
}

static void test_lines_for_the_journal(void **state)
{
    char line[256];

    log_set_part("part");
    line_with(NULL, line, sizeof(line));
    assert_string_equal(line, "<4>part: text\n");
}

static void test_lines_for_others(void **state)
{
    static const char *const streams[] = {"1:1", "", ":", "1", "x:y", "1:2:3"};
    char line[256];

    log_set_part("part");
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        line_with(streams[i], line, sizeof(line));
        assert_non_null(strstr(line, "Z warning part: text\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_asked),     cmocka_unit_test(test_path),
        cmocka_unit_test(test_abstract),         cmocka_unit_test(test_lines_for_the_journal),
        cmocka_unit_test(test_lines_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
