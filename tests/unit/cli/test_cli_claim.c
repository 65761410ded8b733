/* Two state folders, one after the other with the same runtime directory. */
#include "cli/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

struct two {
    char base[40];
    char *runtime, *environments, *environment;
    struct config config[2];
    struct layout *layout[2];
};

static int setup(void **state)
{
    struct two *t = xcalloc(1, sizeof(*t));

    strcpy(t->base, "/tmp/open-hydra-claim-XXXXXX");
    if (mkdtemp(t->base) == NULL)
        return -1;
    t->runtime = xasprintf("%s/run", t->base);
    t->environments = xasprintf("%s/env", t->runtime);
    t->environment = xasprintf("%s/0123456789abcdef", t->environments);
    for (int i = 0; i < 2; i++) {
        t->config[i] = (struct config){.data = xasprintf("%s/data%d", t->base, i), .runtime = t->runtime};
        t->layout[i] = layout_new(&t->config[i]);
        mkdir(t->config[i].data, 0700);
    }
    *state = t;
    return mkdir(t->runtime, 0700) + mkdir(t->environments, 0700);
}

static int teardown(void **state)
{
    struct two *t = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", t->base);
    int rc = system(command);

    for (int i = 0; i < 2; i++) {
        layout_free(t->layout[i]);
        free(t->config[i].data);
    }
    free(t->environment);
    free(t->environments);
    free(t->runtime);
    free(t);
    return rc;
}

static void assert_refused(struct two *t, int which,
                           int (*f)(const struct layout *, const struct config *, struct error **))
{
    struct error *err = NULL;

    assert_int_equal(f(t->layout[which], &t->config[which], &err), -1);
    assert_int_equal(err->reason, REASON_CONFLICT);
    assert_non_null(strstr(err->message, t->config[!which].data));
    error_free(err);
}

static void assert_ours(struct two *t, int which)
{
    struct error *err = NULL;

    assert_int_equal(claim_check(t->layout[which], &t->config[which], &err), 0);
    assert_int_equal(claim_runtime(t->layout[which], &t->config[which], &err), 0);
    assert_null(err);
}

static void while_there_are_environments(void **state)
{
    struct two *t = *state;

    assert_ours(t, 0);
    assert_int_equal(mkdir(t->environment, 0700), 0);
    assert_refused(t, 1, claim_check);
    assert_refused(t, 1, claim_runtime);
    assert_ours(t, 0); /* a refusal has changed nothing */
    assert_int_equal(rmdir(t->environment), 0);
    assert_ours(t, 1);
    assert_int_equal(mkdir(t->environment, 0700), 0);
    assert_refused(t, 0, claim_runtime);
    assert_ours(t, 1);
}

/* What an older version left says nothing: whoever comes first has it. */
static void nobodys(void **state)
{
    struct two *t = *state;

    assert_int_equal(mkdir(t->environment, 0700), 0);
    assert_ours(t, 0);
    assert_refused(t, 1, claim_check);
}

/* A check alone makes nothing one's own. */
static void only_asked(void **state)
{
    struct two *t = *state;
    struct error *err = NULL;

    assert_int_equal(claim_check(t->layout[0], &t->config[0], &err), 0);
    assert_int_equal(mkdir(t->environment, 0700), 0);
    assert_ours(t, 1);
}

/* The folder counts, not the way to it; and one that is gone is asked for by its name. */
static void by_another_way(void **state)
{
    struct two *t = *state;
    _cleanup_free_ char *link = xasprintf("%s/link", t->base);
    struct error *err = NULL;

    assert_ours(t, 0);
    assert_int_equal(mkdir(t->environment, 0700), 0);
    assert_int_equal(symlink(t->config[0].data, link), 0);
    const struct config linked = {.data = link, .runtime = t->runtime};
    assert_int_equal(claim_check(t->layout[0], &linked, &err), 0);
    assert_int_equal(rmdir(t->config[0].data), 0);
    assert_ours(t, 0);
    assert_refused(t, 1, claim_check);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(while_there_are_environments), T(nobodys), T(only_asked), T(by_another_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
