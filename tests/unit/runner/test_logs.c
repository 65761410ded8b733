/* What the server asks the runner of an environment: paths, bounds, how many at a time, and the end of a log that is
 * followed. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/thread.h"
#include "runner/logs.h"
#include "unit/http/client.h"

#define AT_ONCE 64

static struct fixture at; /* the socket: what client.h needs */
static struct logs *logs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct runtime_log_options asked; /* the last; set before the first byte goes out */

/* --- a runtime without an engine: "gone" has no container, "broken" fails in the midst, "long" ends when it is told
 * --- */

static int inspect(struct runtime *r, const char *uid, struct instance *out, struct error **err)
{
    return streq(uid, "gone") ? error_set(err, REASON_NOT_FOUND, "no such container") : 0;
}

static void note(const struct runtime_log_options *o)
{
    LOCK_SCOPE(&lock);
    asked = *o;
}

static struct runtime_log_options noted(void)
{
    LOCK_SCOPE(&lock);
    return asked;
}

static int read_log(struct runtime *r, const char *uid, const struct runtime_log_options *o,
                    int (*write)(void *arg, struct str text), void *arg, struct error **err)
{
    struct pollfd stop = {o->stop_fd, POLLIN, 0};

    note(o);
    if (write(arg, STR("first\n")) < 0)
        return -1;
    if (streq(uid, "broken"))
        return error_set(err, REASON_SERVICE_UNAVAILABLE, "the engine went away");
    while (streq(uid, "long") && poll(&stop, 1, -1) < 1)
        continue;
    return 0;
}

static int usage(struct runtime *r, const char *uid, struct runtime_usage *out, struct error **err)
{
    *out = (struct runtime_usage){1, 2, 3, 4};
    return inspect(r, uid, NULL, err);
}

/* Those of "slow…" last until they may end. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned slow;
static bool may_end;

static char *ran; /* the arguments of the last program, but for its text */

static int run_inside(struct runtime *r, const char *uid, const struct runtime_program *p, struct buffer *out,
                      struct error **err)
{
    LOCK_SCOPE(&lock);

    assert_int_equal(p->arguments_len, 7);
    free(ran);
    ran = xasprintf("%s %s %s %s … %s|%s", p->arguments[0], p->arguments[1], p->arguments[2], p->arguments[3],
                    p->arguments[5], p->arguments[6]);
    assert_non_null(strstr(p->arguments[4], "def main()"));
    assert_true(p->silence_s > 0 && p->seconds > 0);
    if (starts_with(uid, "slow")) {
        slow++;
        pthread_cond_broadcast(&changed);
        while (!may_end)
            pthread_cond_wait(&changed, &lock);
    }
    if (streq(uid, "bare"))
        return error_set(err, REASON_INVALID, "there is no program python3 in the environment's image");
    buffer_puts(out, "\n\n{\"counts\":{}}\n");
    return inspect(r, uid, NULL, err);
}

static const struct runtime_ops ops = {.inspect = inspect, .logs = read_log, .usage = usage, .run_inside = run_inside};
static struct runtime runtime = {&ops};

static int setup(void **state)
{
    at = (struct fixture){.directory = "/tmp/logs-XXXXXX"};
    assert_non_null(mkdtemp(at.directory));
    snprintf(at.path, sizeof(at.path), "%s/s", at.directory);
    at.listen_fd = listen_unix(at.path, 0600, NULL);
    logs = logs_start(at.listen_fd, geteuid(), &runtime, NULL);
    return logs ? 0 : -1;
}

static int teardown(void **state)
{
    logs_stop(logs);
    close(at.listen_fd);
    unlink(at.path);
    return rmdir(at.directory);
}

static unsigned status_of(const char *answer)
{
    return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
}

static char *ask(const char *method, const char *path)
{
    _cleanup_free_ char *text = xasprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", method, path);
    return client_request(&at, text);
}

static unsigned get(const char *path)
{
    _cleanup_free_ char *answer = ask("GET", path);
    return status_of(answer);
}

#define LONGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde-"

static void paths(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } cases[] = {{"/healthz", 200},
                 {"/devices/u/log", 200},
                 {"/devices/u/usage", 200},
                 {"/devices/" LONGEST "/log", 200},
                 {"/devices/" LONGEST "0/log", 404},
                 {"/devices/gone/log", 404},
                 {"/devices/gone/usage", 404},
                 {"/devices//log", 404},
                 {"/devices/a.b/log", 404},
                 {"/devices/../log", 404},
                 {"/devices/u/logs", 404},
                 {"/devices/u/log/x", 404},
                 {"/devices/u", 404},
                 {"/device/u/log", 404},
                 {"/", 404}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned status = get(cases[i].path);
        if (status != cases[i].status)
            fail_msg("%s: %u", cases[i].path, status);
    }
    _cleanup_free_ char *posted = ask("POST", "/devices/u/log"), *used = ask("GET", "/devices/u/usage");
    assert_int_equal(status_of(posted), 404);
    assert_non_null(strstr(used, "{\"memoryBytes\":1,\"memoryLimitBytes\":2,\"cpuNanoseconds\":3,\"pids\":4}"));
}

static void a_course_is_copied(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
        const char *says, *ran;
    } cases[] = {
        {"/devices/u/course?name=lesson", 200, "\r\n\r\n{\"counts\":{}}", "lesson|"},
        {"/devices/u/course?name=%E8%AF%BE%20a%26b&version=12", 200, "{\"counts\":{}}", "\xe8\xaf\xbe a&b|12"},
        {"/devices/bare/course?name=lesson", 422, "no program python3", "lesson|"},
        {"/devices/gone/course?name=lesson", 404, "no such container", "lesson|"},
        {"/devices/u/course", 400, "name: ", NULL},
        {"/devices/u/course?name=", 400, "name: ", NULL},
        {"/devices/u/course?name=..", 400, "name: ", NULL},
        {"/devices/u/course?name=.open-hydra", 400, "name: ", NULL},
        {"/devices/u/course?name=a%2Fb", 400, "name: ", NULL},
        {"/devices/u/course?name=a%0Ab", 400, "name: ", NULL},
        {"/devices/u/course?name=a%FF", 400, "name: ", NULL},
        {"/devices/u/course?name=lesson&version=-1", 400, "version: ", NULL},
        {"/devices/u/course?name=lesson&version=1;x", 400, "version: ", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *answer = ask("POST", cases[i].path), *program = NULL;
        if (status_of(answer) != cases[i].status || strstr(answer, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].path, answer);
        LOCK_SCOPE(&lock);
        program = cases[i].ran ? xasprintf("%s -I -S -c … %s", cases[i].status == 422 ? "python3" : "/usr/bin/python3",
                                           cases[i].ran)
                               : NULL;
        if (!streq(program, ran) && (program || ran))
            fail_msg("%s: %s", cases[i].path, ran ? ran : "nothing");
        free(steal_ptr(ran));
    }
    assert_int_equal(get("/devices/u/course?name=lesson"), 404);
}

static void what_is_asked_for(void **state)
{
    assert_int_equal(get("/devices/u/log"), 200);
    assert_true(!noted().follow && noted().tail == RUNTIME_LOG_ALL && noted().stop_fd >= 0);
    assert_int_equal(get("/devices/u/log?follow=true&tailLines=100000"), 200);
    assert_true(noted().follow && noted().tail == 100000);
    assert_int_equal(get("/devices/u/log?follow=1&tailLines=0"), 200);
    assert_true(noted().follow && noted().tail == 0);
    assert_int_equal(get("/devices/u/log?follow=false"), 200);
    assert_false(noted().follow);
    assert_int_equal(get("/devices/u/log?tailLines=100001"), 400);
    assert_int_equal(get("/devices/u/log?tailLines=-1"), 400);
    assert_int_equal(get("/devices/u/log?tailLines=x"), 400);
}

/* Its status is out by then. */
static void a_failure_in_the_midst_is_its_last_line(void **state)
{
    _cleanup_free_ char *answer = ask("GET", "/devices/broken/log");

    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "first\n"));
    assert_non_null(strstr(answer, "the engine went away\n"));
}

static int follow(void)
{
    struct buffer b = {0};
    int fd = client_connect(&at);

    client_send(fd, "GET /devices/long/log?follow=true HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read_until(fd, &b, "first\n");
    buffer_free(&b);
    return fd;
}

static void so_many_at_a_time(void **state)
{
    int fds[AT_ONCE];
    unsigned status;

    for (size_t i = 0; i < AT_ONCE; i++)
        fds[i] = follow();
    assert_int_equal(get("/devices/u/log"), 429);
    assert_int_equal(get("/devices/u/usage"), 429);
    assert_int_equal(get("/healthz"), 200);
    /* Who goes makes room, although nothing more is printed. */
    close(fds[0]);
    while ((status = get("/devices/u/log")) == 429)
        usleep(10000);
    assert_int_equal(status, 200);
    for (size_t i = 1; i < AT_ONCE; i++)
        close(fds[i]);
}

static int copy_slowly(unsigned device, unsigned running)
{
    _cleanup_free_ char *text =
        xasprintf("POST /devices/slow%u/course?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", device);
    int fd = client_connect(&at);
    LOCK_SCOPE(&lock);

    client_send(fd, text);
    while (slow < running)
        pthread_cond_wait(&changed, &lock);
    return fd;
}

static unsigned copy(const char *path)
{
    _cleanup_free_ char *answer = ask("POST", path);
    return status_of(answer);
}

/* However long environments take for it, logs are read meanwhile, and others have a share. */
static void courses_leave_room(void **state)
{
    int fds[AT_ONCE / 2];

    may_end = false;
    slow = 0;
    for (unsigned i = 0; i < AT_ONCE / 2; i++) {
        fds[i] = copy_slowly(i / 2, i + 1);
        if (i == 1)
            assert_int_equal(copy("/devices/slow0/course?name=y"), 409);
    }
    assert_int_equal(copy("/devices/u/course?name=x"), 429);
    assert_int_equal(get("/devices/u/log"), 200);
    pthread_mutex_lock(&lock);
    may_end = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < AT_ONCE / 2; i++) {
        struct buffer b = {0};
        client_read_until(fds[i], &b, "{\"counts\":{}}");
        buffer_free(&b);
        close(fds[i]);
    }
    assert_int_equal(copy("/devices/u/course?name=x"), 200);
    free(steal_ptr(ran));
}

/* With readers still there. */
static void a_stop_ends_what_is_followed(void **state)
{
    struct buffer b = {0};
    int fd = follow();

    logs_stop(logs);
    logs = NULL;
    client_read_all(fd, &b);
    buffer_free(&b);
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(paths),
        TEST(a_course_is_copied),
        TEST(what_is_asked_for),
        TEST(a_failure_in_the_midst_is_its_last_line),
        TEST(so_many_at_a_time),
        TEST(courses_leave_room),
        TEST(a_stop_ends_what_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
