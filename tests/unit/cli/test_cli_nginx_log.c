/* What nginx says, on its way into our log. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "cli/nginx_log.h"

#define S ((int64_t)1000000)

static void check_line(const char *in, enum log_level level, const char *out)
{
    _cleanup_free_ char *line = xstrdup(in);
    enum log_level got;
    struct str text = nginx_log_line(line, strlen(line), &got);

    assert_true(str_is(text, out));
    assert_int_equal(got, level);
}

static void test_lines(void **state)
{
    check_line("2026/11/27 22:02:44 [error] 7#7: *1 connect() failed, request: \"GET / HTTP/1.1\"", LOG_ERROR,
               "[error] 7#7: *1 connect() failed, request: \"GET / HTTP/1.1\"");
    check_line("2026/11/27 22:02:44 [warn] 7#7: x", LOG_WARNING, "[warn] 7#7: x");
    check_line("2026/11/27 22:02:44 [notice] 7#7: x", LOG_INFO, "[notice] 7#7: x");
    check_line("2026/11/27 22:02:44 [info] 7#7: x", LOG_INFO, "[info] 7#7: x");
    check_line("2026/11/27 22:02:44 [debug] 7#7: x", LOG_DEBUG, "[debug] 7#7: x");
    check_line("2026/11/27 22:02:44 [emerg] 7#7: x", LOG_ERROR, "[emerg] 7#7: x");
    check_line("nginx: [emerg] bind() failed", LOG_ERROR, "nginx: [emerg] bind() failed");
    check_line("2026/11/27 22:02:4", LOG_ERROR, "2026/11/27 22:02:4");
    check_line("2026-11-27 22:02:44 [warn]", LOG_ERROR, "2026-11-27 22:02:44 [warn]");
    check_line("2026/1x/27 22:02:44 [warn]", LOG_ERROR, "2026/1x/27 22:02:44 [warn]");
    check_line("", LOG_ERROR, "");
}

/* A ticket opens an environment. */
static void test_queries_are_dropped(void **state)
{
    check_line(
        "request: \"GET /open?ticket=secret&x=?y HTTP/1.1\", upstream: \"http://u/open?ticket=secret\", host: \"h\"",
        LOG_ERROR, "request: \"GET /open? HTTP/1.1\", upstream: \"http://u/open?\", host: \"h\"");
    check_line("a?b,c?", LOG_ERROR, "a?,c?");
    check_line("?everything", LOG_ERROR, "?");
}

static void test_length(void **state)
{
    char line[2048];
    enum log_level level;

    memset(line, 'x', sizeof(line));
    assert_int_equal(nginx_log_line(line, 512, &level).n, 512);
    assert_int_equal(nginx_log_line(line, 513, &level).n, 512);
    assert_int_equal(nginx_log_line(line, sizeof(line), &level).n, 512);
}

static unsigned written(struct nginx_log *l, unsigned tries, int64_t now)
{
    unsigned n = 0;

    for (unsigned i = 0; i < tries; i++)
        n += nginx_log_may(l, now);
    return n;
}

static void test_rate(void **state)
{
    struct nginx_log l = nginx_log_new(100 * S);

    assert_int_equal(written(&l, 20, 100 * S), 20);
    assert_int_equal(l.left_out, 0);
    assert_int_equal(written(&l, 1000, 100 * S), 0);
    assert_int_equal(l.left_out, 1000);
    assert_int_equal(written(&l, 5, 100 * S + 499999), 0);
    assert_int_equal(written(&l, 5, 100 * S + 500000), 1);
    assert_int_equal(written(&l, 5, 100 * S + 999999), 0);
    assert_int_equal(written(&l, 5, 101 * S + 500000), 2);
    /* Quiet times are not saved up beyond the first bound. */
    assert_int_equal(written(&l, 100, 10000 * S), 20);
    assert_int_equal(written(&l, 100, 10000 * S), 0);
}

/* By the process: what it says comes out clean, and it ends with the last who could write. */
static pid_t only_child(void)
{
    _cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());
    _cleanup_free_ char *text = read_file(path, 4096, NULL, NULL);

    return text ? (pid_t)atoi(text) : -1;
}

/* Returns the end to write to; what comes out is read from *from. */
static int start_writer(int *from)
{
    int out[2], saved = dup(STDERR_FILENO);

    assert_int_equal(pipe(out), 0);
    dup2(out[1], STDERR_FILENO);
    int fd = nginx_log_start(geteuid(), NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(out[1]);
    assert_true(fd >= 0);
    *from = out[0];
    return fd;
}

static void read_all(int from, char *text, size_t max)
{
    size_t n = 0;
    ssize_t got;

    while ((got = read(from, text + n, max - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(from);
}

static void test_process(void **state)
{
    static const char said[] = "2026/11/27 22:02:44 [error] a\033]0;T\007\302\233b\342\200\256Z\nhalf";
    static const char rest[] = " a line\n\nlast";
    char text[4096];
    int from, fd = start_writer(&from);

    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK); /* nginx waits for nobody */
    pid_t writer = only_child();
    for (int i = 0; i < 1000 && getpgid(writer) != writer; i++)
        usleep(10000);
    assert_int_equal(getpgid(writer), writer); /* what is typed at a terminal ends nginx, and its last words are read */
    assert_int_equal(write_all(fd, said, sizeof(said) - 1, NULL), 0);
    assert_int_equal(write_all(fd, rest, sizeof(rest) - 1, NULL), 0);
    close(fd);
    read_all(from, text, sizeof(text));
    assert_non_null(strstr(text, "gateway: nginx: [error] a?]0;T??b?Z\n"));
    assert_non_null(strstr(text, "error gateway: nginx: half a line\n"));
    assert_non_null(strstr(text, "error gateway: nginx: last\n"));
    assert_null(strchr(text, '\033'));
}

/* Said once, with the next line that is written. */
static void test_what_was_left_out_is_said(void **state)
{
    static const char later[] = "first\nsecond\n";
    char text[8192], burst[2 * (NGINX_LOG_AT_ONCE + 7)];
    int from, fd = start_writer(&from);

    for (size_t i = 0; i < sizeof(burst); i += 2)
        memcpy(burst + i, "x\n", 2);
    assert_int_equal(write(fd, burst, sizeof(burst)), sizeof(burst)); /* in one piece: at one time */
    usleep(3 * NGINX_LOG_EVERY_US);
    assert_int_equal(write_all(fd, later, sizeof(later) - 1, NULL), 0);
    close(fd);
    read_all(from, text, sizeof(text));
    const char *said = strstr(text, "7 lines of nginx were left out\n");
    assert_non_null(said);
    assert_null(strstr(strchr(said, '\n'), "left out"));
    assert_non_null(strstr(said, "nginx: second\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_queries_are_dropped),
        cmocka_unit_test(test_length),  cmocka_unit_test(test_rate),
        cmocka_unit_test(test_process), cmocka_unit_test(test_what_was_left_out_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
