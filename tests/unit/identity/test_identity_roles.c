#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/accounts/users.h"
#include "server/identity/roles.h"

static const struct kind users = {.plural = "openhydrausers"}, devices = {.plural = "devices"},
                         sandboxes = {.plural = "sandboxes"}, hosts = {.plural = "hosts"},
                         datasets = {.plural = "datasets"}, courses = {.plural = "courses"},
                         others = {.plural = "others"};

static enum verdict ask(int role, const char *verb, const struct kind *kind, const char *subresource)
{
    struct identity who = {.name = "u", .role = role};
    struct attributes what = {.verb = verb, .kind = kind, .subresource = subresource};
    return roles_authorize(&who, &what);
}

static const char *const verbs[] = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"};
static const struct kind *const kinds[] = {&users, &devices, &sandboxes, &hosts, &datasets, &courses, &others};

static void test_admin_may_everything_but_the_runners_own(void **state)
{
    for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
            assert_int_equal(ask(ROLE_ADMIN, verbs[v], kinds[k], NULL), VERDICT_ALLOW);
        assert_int_equal(ask(ROLE_ADMIN, verbs[v], &devices, "status"), VERDICT_ALLOW);
        assert_int_equal(ask(ROLE_ADMIN, verbs[v], &devices, "ticket"), VERDICT_ALLOW);
        assert_int_equal(ask(ROLE_ADMIN, verbs[v], &devices, "endpoint"), VERDICT_DENY);
        assert_int_equal(ask(ROLE_ADMIN, verbs[v], &sandboxes, "pullsecret"), VERDICT_DENY);
    }
}

static void test_nobody_may_nothing(void **state)
{
    for (size_t v = 0; v < ARRAY_SIZE(verbs); v++)
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
            assert_int_equal(ask(ROLE_NONE, verbs[v], kinds[k], NULL), VERDICT_DENY);
            assert_int_equal(ask(7, verbs[v], kinds[k], NULL), VERDICT_DENY);
            assert_int_equal(ask(-1, verbs[v], kinds[k], NULL), VERDICT_DENY);
        }
    assert_int_equal(ask(ROLE_NONE, "get", NULL, NULL), VERDICT_DENY);
}

struct line {
    const struct kind *kind;
    const char *subresource, *verbs; /* those that are not denied */
    enum verdict verdict;
};

static bool named(const char *list, const char *verb)
{
    struct str rest = str_from(list), one;
    while (str_split(&rest, ' ', &one))
        if (str_is(one, verb))
            return true;
    return false;
}

static void check(int role, const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
            enum verdict expected = named(lines[i].verbs, verbs[v]) ? lines[i].verdict : VERDICT_DENY;
            if (ask(role, verbs[v], lines[i].kind, lines[i].subresource) != expected)
                fail_msg("role %d: %s %s/%s", role, verbs[v], lines[i].kind->plural,
                         lines[i].subresource ? lines[i].subresource : "");
        }
}

static void test_students(void **state)
{
    static const struct line lines[] = {
        {&users, NULL, "get list watch", VERDICT_OWN},
        {&users, "status", "", VERDICT_DENY},
        {&devices, NULL, "get list watch create delete update patch", VERDICT_OWN},
        {&devices, "status", "get", VERDICT_OWN},
        {&devices, "ticket", "create", VERDICT_OWN},
        {&devices, "log", "get", VERDICT_OWN},
        {&devices, "endpoint", "", VERDICT_DENY},
        {&devices, "visits", "", VERDICT_DENY},
        {&sandboxes, NULL, "get list watch", VERDICT_ALLOW},
        {&sandboxes, "status", "", VERDICT_DENY},
        {&hosts, NULL, "", VERDICT_DENY},
        {&hosts, "status", "", VERDICT_DENY},
        {&datasets, NULL, "get list watch", VERDICT_ALLOW},
        {&datasets, "upload", "", VERDICT_DENY},
        {&courses, NULL, "get list watch", VERDICT_ALLOW},
        {&courses, "upload", "", VERDICT_DENY},
        {&sandboxes, "pullsecret", "", VERDICT_DENY},
        {&others, NULL, "", VERDICT_DENY},
    };
    check(ROLE_USER, lines, ARRAY_SIZE(lines));
    assert_int_equal(ask(ROLE_USER, "get", NULL, NULL), VERDICT_ALLOW);
}

static void test_runner(void **state)
{
    static const struct line lines[] = {
        {&users, NULL, "get list watch", VERDICT_ALLOW},
        {&devices, NULL, "get list watch update patch delete", VERDICT_ALLOW},
        {&devices, "status", "get update patch", VERDICT_ALLOW},
        {&devices, "endpoint", "get list watch create update patch delete deletecollection", VERDICT_ALLOW},
        {&devices, "visits", "get", VERDICT_ALLOW},
        {&devices, "ticket", "", VERDICT_DENY},
        {&devices, "log", "", VERDICT_DENY},
        {&sandboxes, NULL, "get list watch", VERDICT_ALLOW},
        {&hosts, NULL, "get list watch create update patch delete", VERDICT_ALLOW},
        {&hosts, "status", "get update patch", VERDICT_ALLOW},
        {&sandboxes, "status", "get update patch", VERDICT_ALLOW},
        {&sandboxes, "pullsecret", "get", VERDICT_ALLOW},
        {&others, NULL, "", VERDICT_DENY},
    };
    check(ROLE_RUNNER, lines, ARRAY_SIZE(lines));
}

static enum verdict ask_path(int role, const char *path)
{
    struct identity who = {.name = "u", .role = role};
    struct attributes what = {.verb = "get", .name = path};
    return roles_authorize(&who, &what);
}

/* How many there are of everything, and what others do, is for administrators. */
static void test_paths(void **state)
{
    assert_int_equal(ask_path(ROLE_ADMIN, "/metrics"), VERDICT_ALLOW);
    assert_int_equal(ask_path(ROLE_USER, "/metrics"), VERDICT_DENY);
    assert_int_equal(ask_path(ROLE_RUNNER, "/metrics"), VERDICT_DENY);
    assert_int_equal(ask_path(ROLE_NONE, "/metrics"), VERDICT_DENY);
    assert_int_equal(ask_path(ROLE_USER, "/apis"), VERDICT_ALLOW);
    assert_int_equal(ask_path(ROLE_RUNNER, "/apis"), VERDICT_ALLOW);
    assert_int_equal(ask_path(ROLE_NONE, "/apis"), VERDICT_DENY);
}

/* A share of everything is kept for these alone. */
static void test_who_has_a_share(void **state)
{
    assert_true(roles_reserved(&(struct identity){.name = "x", .role = ROLE_ADMIN}));
    assert_true(roles_reserved(&(struct identity){.name = "x", .role = ROLE_RUNNER}));
    assert_false(roles_reserved(&(struct identity){.name = "x", .role = ROLE_USER}));
    assert_false(roles_reserved(&(struct identity){.name = "x", .role = ROLE_NONE}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin_may_everything_but_the_runners_own),
        cmocka_unit_test(test_nobody_may_nothing),
        cmocka_unit_test(test_students),
        cmocka_unit_test(test_runner),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_who_has_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
