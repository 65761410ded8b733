/* What is done by another process: its result, its error, its end. */
#include "cli/apart.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int add_one(void *arg, struct error **err)
{
    int *n = arg;
    return ++*n;
}

static int refuse(void *arg, struct error **err)
{
    return error_set(err, REASON_CONFLICT, "not %s", (const char *)arg);
}

static int fail_at_length(void *arg, struct error **err)
{
    char text[20001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    return error_set(err, REASON_INVALID, "%s", text);
}

static int die(void *arg, struct error **err)
{
    _exit(7);
}

static int stand_still(void *arg, struct error **err)
{
    *(pid_t *)arg = getpid();
    raise(SIGSTOP);
    return 0;
}

/* The worker is told of by nothing but the pipe: whoever keeps that open keeps nobody waiting either. */
static int leave_a_child(void *arg, struct error **err)
{
    if (fork() == 0) {
        sleep(5);
        _exit(0);
    }
    return 3;
}

static void results_and_errors_come_back(void **state)
{
    struct error *err = NULL;
    int n = 41;

    assert_int_equal(apart(add_one, &n, NULL), 42);
    assert_int_equal(n, 41);
    assert_int_equal(apart(refuse, (char[]){"so"}, &err), -1);
    assert_int_equal(err->reason, REASON_CONFLICT);
    assert_string_equal(err->message, "not so");
    error_free(err);
    err = NULL;
    assert_int_equal(apart(fail_at_length, NULL, &err), -1);
    assert_int_equal(strlen(err->message), 20000);
    error_free(err);
}

static void what_dies_or_stands_still_is_an_error(void **state)
{
    struct error *err = NULL;
    pid_t pid = 0;

    assert_int_equal(apart(die, NULL, &err), -1);
    assert_non_null(strstr(err->message, "ended"));
    error_free(err);
    err = NULL;
    assert_int_equal(apart_within(200000, stand_still, &pid, &err), -1);
    assert_non_null(strstr(err->message, "stood still"));
    error_free(err);
    /* None is left, stopped or dead. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_worker_that_leaves_a_child(void **state)
{
    assert_int_equal(apart_within(3000000, leave_a_child, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_errors_come_back),
        cmocka_unit_test(what_dies_or_stands_still_is_an_error),
        cmocka_unit_test(a_worker_that_leaves_a_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
