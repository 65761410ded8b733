/* What nobody uses: who may keep it how long, and what is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/gateway/room.h"
#include "unit/hooks/world.h"

#define HOUR INT64_C(3600000000)
#define QUIET "quiet: requests since 2026-01-01T00:00:00Z"
#define CONDITION(type, holds, message)                                                                                \
    "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"" type "\",\"status\":\"" holds                    \
    "\",\"reason\":\"Idle\",\"message\":\"" message "\"}]}}"

static int setup(void **state)
{
    world_start(4, 16);
    world.config.keep_until_max_seconds = 24 * 3600;
    make_user("a", 2, NULL);
    make_user("b", 2, NULL);
    return 0;
}

static int teardown(void **state)
{
    world_stop();
    return 0;
}

static const char *said(const char *path, const char *field)
{
    return answer_str(get(200, path), field);
}

static char *keep(int64_t ahead_us)
{
    char when[TIMESTAMP_SIZE];
    timestamp(when, clock_realtime_us() + ahead_us);
    return xasprintf("{\"spec\":{\"keepUntil\":\"%s\"}}", when);
}

static struct answer *as_owner(long code, const char *body)
{
    return patch_as_student("a", code, "devices/a", body);
}

static void an_owner_keeps_it_up_to_a_ceiling(void **state)
{
    _cleanup_free_ char *day = keep(24 * HOUR - HOUR / 60), *more = keep(25 * HOUR), *past = keep(-HOUR);

    make_device(201, "a");
    as_owner(200, day);
    assert_non_null(strstr(day, said("devices/a", "spec.keepUntil")));
    struct answer *a = as_owner(422, more);
    assert_string_equal(answer_str(a, "reason"), "Invalid");
    assert_true(answer_has(a, "\"field\":\"spec.keepUntil\""));
    assert_true(answer_has(a, "at most 24 h ahead (keepUntilMax)"));
    assert_true(answer_has(as_owner(422, "{\"spec\":{\"keepUntil\":\"tomorrow\"}}"), "spec.keepUntil"));
    as_owner(200, past); /* it may be idle again */
    as_owner(200, "{\"spec\":{\"keepUntil\":null}}");
    assert_string_equal(said("devices/a", "spec.keepUntil"), "(absent)");
    /* An administrator knows what for; and what is there already is no reason to refuse another change. */
    patch(200, "devices/a", more);
    as_owner(200, "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}");
    patch_as_student("b", 403, "devices/a", day);
}

static void an_owner_changes_nothing_else(void **state)
{
    static const char *const others[] = {"\"idleStop\":\"never\"",       "\"priority\":7",
                                         "\"openHydraProjectId\":\"p\"", "\"suspend\":true",
                                         "\"affinity\":{\"a\":1}",       "\"usePublicDataSet\":true"};

    create(201, "devices",
           "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"openHydraUsername\":\"a\",\"idleStop\":\"3h\"}}");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        _cleanup_free_ char *body = xasprintf("{\"spec\":{%s}}", others[i]);
        assert_true(answer_has(as_owner(403, body), "only spec.keepUntil may be changed"));
    }
    assert_true(answer_has(as_owner(403, "{\"spec\":{\"idleStop\":null}}"), "spec.idleStop"));
    as_owner(422, "{\"spec\":{\"deviceCpu\":\"10\"}}");
    as_owner(403, "{\"metadata\":{\"finalizers\":null}}");
    as_owner(200, "{\"spec\":{\"idleStop\":\"3h\"}}");
    patch(200, "devices/a", "{\"spec\":{\"idleStop\":\"never\"}}");
}

static void who_may_say_how_long(void **state)
{
    static const char body[] =
        "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"openHydraUsername\":\"a\",\"idleStop\":\"%s\"}}";
    static const char *const wrong[] = {"soon", "-1", "1 h", "1w", "1.5h", ""};
    _cleanup_free_ char *own = xasprintf(body, "1h");

    assert_true(answer_has(create_as("a", 2, 403, "devices", own), "spec.idleStop: only an administrator"));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *one = xasprintf(body, wrong[i]);
        assert_true(answer_has(create(422, "devices", one), "spec.idleStop"));
    }
    create_as("a", 1, 201, "devices", own);
}

static void what_ended_is_noted_until_the_next(void **state)
{
    make_device(201, "a");
    patch_as(RUNNER, 200, "devices/a/status", CONDITION("Idle", "True", QUIET));
    delete_(200, "devices/a");
    assert_string_equal(said("devices/a", "status.reason"), "Idle");
    assert_string_equal(said("devices/a", "status.message"), QUIET);
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.reason"), "(absent)");
    runner_lets_go("a");
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.reason"), "Idle");
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.message"), QUIET);
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.sandboxName"), "jupyter-lab");
    int64_t at;
    assert_int_equal(timestamp_parse(str_from(said("openhydrausers/a", "status.lastEnvironment.endedAt")), &at), 0);
    make_device(201, "a");
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.reason"), "(absent)");
}

static void what_was_only_announced_is_not(void **state)
{
    make_device(201, "a");
    patch_as(RUNNER, 200, "devices/a/status", CONDITION("Idle", "False", ""));
    delete_(200, "devices/a");
    assert_string_equal(said("devices/a", "status.reason"), "Deleted");
    runner_lets_go("a");
    make_device(201, "a");
    patch_as(RUNNER, 200, "devices/a/status", CONDITION("IdleSoon", "True", QUIET));
    delete_(200, "devices/a");
    runner_lets_go("a");
    assert_string_equal(said("openhydrausers/a", "status.lastEnvironment.reason"), "(absent)");
}

/* With its user, whose object goes in the same transaction. */
static void with_its_user_it_goes(void **state)
{
    make_device(201, "a");
    patch_as(RUNNER, 200, "devices/a/status", CONDITION("Idle", "True", QUIET));
    delete_(200, "openhydrausers/a");
    runner_lets_go("a");
    get(404, "devices/a");
    get(404, "openhydrausers/a");
}

static struct answer *visits(void)
{
    struct call c = {.path = GROUP "devices/a/visits", .user = RUNNER};
    return expect(200, call(&world.f, &c));
}

static void the_runner_hears_of_visitors(void **state)
{
    const struct endpoint one = {"main", "unix:/env/1/s", "t"}, other = {"main", "unix:/env/2/s", "t"};
    struct endpoints *all = world.gateway->endpoints;

    make_device(201, "a");
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a");
    endpoints_note_visit(all, uid, 7); /* where it listens is not known: nobody can have come */
    assert_string_equal(answer_str(visits(), "lastVisit"), "(absent)");
    endpoints_set(all, uid, &one, 1);
    assert_true(answer_has(visits(), "\"lastVisit\":null"));
    endpoints_note_visit(all, uid, INT64_C(1767268800000000));
    assert_string_equal(answer_str(visits(), "lastVisit"), "2026-01-01T12:00:00Z");
    endpoints_set(all, uid, &other, 1); /* the runner came back */
    assert_string_equal(answer_str(visits(), "lastVisit"), "2026-01-01T12:00:00Z");
    struct call c = {.path = GROUP "devices/a/visits", .user = "a", .role = 2};
    expect(403, call(&world.f, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_owner_keeps_it_up_to_a_ceiling),  TEST(an_owner_changes_nothing_else),  TEST(who_may_say_how_long),
        TEST(what_ended_is_noted_until_the_next), TEST(what_was_only_announced_is_not), TEST(with_its_user_it_goes),
        TEST(the_runner_hears_of_visitors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
