/* A database that is missing where there were homes is a loss, and no first start. */
#include "cli/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

struct place {
    char base[40];
    struct config config;
    struct layout *layout;
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    strcpy(p->base, "/tmp/open-hydra-history-XXXXXX");
    if (mkdtemp(p->base) == NULL)
        return -1;
    p->config = (struct config){.data = xasprintf("%s/data", p->base),
                                .runtime = xasprintf("%s/run", p->base),
                                .workspace_path = xasprintf("%s/data/workspace", p->base)};
    p->layout = layout_new(&p->config);
    *state = p;
    return make_directory(p->layout->server_state, 0700, NULL) < 0 ||
           make_directory(p->config.workspace_path, 0700, NULL) < 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", p->base);
    int rc = system(command);

    layout_free(p->layout);
    free(p->config.data);
    free(p->config.runtime);
    free(p->config.workspace_path);
    free(p);
    return rc;
}

static void put(const char *folder, const char *name, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(write_file_atomic(path, str_from(content), 0600, NULL), 0);
}

static void check(const struct place *p, bool good)
{
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(history_check(&p->config, p->layout, &err), good ? 0 : -1);
    if (good)
        assert_null(err);
    else
        assert_non_null(strstr(err->message, "begin-anew"));
}

static void put_home(const struct place *p)
{
    _cleanup_free_ char *home = xasprintf("%s/ann", p->config.workspace_path);
    assert_int_equal(make_directory(home, 0700, NULL), 0);
}

static void a_first_start(void **state)
{
    struct place *p = *state;

    check(p, true);
    put(p->layout->server_state, "open-hydra.db", "");
    check(p, true);
}

static void homes_without_a_database(void **state)
{
    struct place *p = *state;

    put_home(p);
    check(p, false);
    /* An empty one is none. */
    put(p->layout->server_state, "open-hydra.db", "");
    check(p, false);
    put(p->layout->server_state, "open-hydra.db", "x");
    check(p, true);
}

static void to_begin_anew_is_said(void **state)
{
    struct place *p = *state;

    put_home(p);
    put(p->layout->server_state, "begin-anew", "");
    check(p, true);
}

/* Beside DATA, also where the name begins alike: others may have filled it. */
static void homes_elsewhere(void **state)
{
    struct place *p = *state;

    free(p->config.workspace_path);
    p->config.workspace_path = xasprintf("%s/data2", p->base);
    put_home(p);
    check(p, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_start),
        TEST(homes_without_a_database),
        TEST(to_begin_anew_is_said),
        TEST(homes_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
