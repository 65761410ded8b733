/* The list of those who wait for something of which there is not enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device_status.h"
#include "server/hooks/waiting_list.h"
#include "unit/hooks/world.h"

#define MANY 80

/* One port, which `first` has. */
static int setup(void **state)
{
    world_start(1, MANY + 8);
    make_user("first", 2, NULL);
    make_device(201, "first");
    return 0;
}

static int teardown(void **state)
{
    world_stop();
    return 0;
}

static void make_waiting(const char *name)
{
    make_user(name, 2, NULL);
    make_device(201, name);
}

static void remove_user(const char *name)
{
    _cleanup_free_ char *path = xasprintf("openhydrausers/%s", name);

    delete_(200, path);
    runner_lets_go(name);
    get(404, path);
}

/* -1: it does not wait. */
static int64_t position_of(const char *device)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device);
    struct answer *a = get(200, path);

    return json_at(yyjson_doc_get_root(a->doc), "status.queue") ? answer_int(a, "status.queue.position") : -1;
}

static void serve(void)
{
    assert_int_equal(store_run(world.f.store, allocation_serve, &world.context, NULL), 0);
}

static void a_device_says_what_it_waits_for(void **state)
{
    int64_t before = clock_realtime_us(), since;

    assert_int_equal(position_of("first"), -1);
    make_waiting("b");
    struct answer *a = get(200, "devices/b");
    assert_int_equal(answer_int(a, "status.queue.position"), 1);
    assert_string_equal(answer_str(a, "status.queue.waitingFor"), "port");
    assert_string_equal(answer_str(a, "status.reason"), "PortsExhausted");
    assert_int_equal(timestamp_parse(str_from(answer_str(a, "status.queue.since")), &since), 0);
    assert_true(since > before - 1000000 && since <= clock_realtime_us());
    /* What does not wait is given all the same. */
    assert_true(answer_int(a, "status.hostId") > 0);
    assert_int_equal(answer_int(a, "status.port"), 0);
}

static void all_behind_move_up(void **state)
{
    make_waiting("b");
    make_waiting("c");
    make_waiting("d");
    make_waiting("e");
    assert_int_equal(position_of("e"), 4);
    delete_(200, "devices/c"); /* it waits no longer from here on */
    assert_int_equal(position_of("c"), -1);
    assert_int_equal(position_of("b"), 1);
    assert_int_equal(position_of("d"), 2);
    assert_int_equal(position_of("e"), 3);
    runner_lets_go("c");
    assert_int_equal(position_of("e"), 3);
    remove_user("first");
    assert_int_equal(position_of("b"), -1);
    assert_int_equal(port_of("b"), 31000);
    assert_int_equal(position_of("d"), 1);
    assert_int_equal(position_of("e"), 2);
    /* Asked again, it comes last. */
    make_device(201, "c");
    assert_int_equal(position_of("c"), 3);
    /* A user who goes while its device waits. */
    remove_user("d");
    assert_int_equal(position_of("e"), 1);
    assert_int_equal(position_of("c"), 2);
}

static void dry_runs_move_nobody(void **state)
{
    make_waiting("b");
    make_waiting("c");
    delete_(200, "devices/b?dryRun=All");
    assert_int_equal(position_of("b"), 1);
    assert_int_equal(position_of("c"), 2);
    make_user("d", 2, NULL);
    create(201, "devices?dryRun=All", "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"openHydraUsername\":\"d\"}}");
    make_waiting("e");
    assert_int_equal(position_of("e"), 3);
}

static void the_order_survives_a_restart(void **state)
{
    make_waiting("z");
    make_waiting("y");
    world_restart();
    serve();
    make_waiting("a");
    assert_int_equal(position_of("z"), 1);
    assert_int_equal(position_of("y"), 2);
    assert_int_equal(position_of("a"), 3);
    remove_user("first");
    assert_int_equal(port_of("z"), 31000);
}

/* Of 80 who wait the first 16 know their place, and the others are not all written each time. */
static void many_who_wait(void **state)
{
    char name[16];

    for (int i = 1; i <= MANY; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        make_waiting(name);
    }
    uint64_t before = store_revision(world.f.store), moved = 0;
    for (int gone = 1; gone < MANY; gone++) {
        snprintf(name, sizeof(name), "devices/w%d", gone);
        delete_(200, name);
        moved += (uint64_t)(MANY - gone);
        for (int i = gone + 1; i <= MANY; i += 7) {
            int64_t place = i - gone;
            snprintf(name, sizeof(name), "w%d", i);
            int64_t said = position_of(name);
            if (place <= WAITING_EXACT)
                assert_int_equal(said, place);
            assert_true(said >= place && said - place <= said / 8);
        }
    }
    assert_true(store_revision(world.f.store) - before < MANY + moved * 3 / 5);
}

static int write_old_record(struct store_txn *t, void *arg, struct error **err)
{
    txn_secret_put(t, "port-waiting", STR("c"), STR("17"));
    txn_secret_delete(t, "waiting-end", STR(""));
    return 0;
}

/* As the list was when there was one for ports alone. */
static void an_older_list_is_read(void **state)
{
    make_waiting("b");
    make_waiting("c");
    assert_int_equal(store_run(world.f.store, write_old_record, NULL, NULL), 0);
    make_waiting("d");
    assert_int_equal(position_of("d"), 3);
    serve();
    assert_int_equal(position_of("c"), 1);
    assert_int_equal(position_of("b"), 2);
}

static void a_place_is_the_servers_to_say(void **state)
{
    make_waiting("b");
    patch_as(RUNNER, 200, "devices/b/status", "{\"status\":{\"queue\":{\"position\":7}}}");
    assert_int_equal(position_of("b"), 1);
    patch_as(RUNNER, 200, "devices/b/status", "{\"status\":{\"queue\":null}}");
    assert_int_equal(position_of("b"), 1);
    patch_as(RUNNER, 200, "devices/first/status", "{\"status\":{\"queue\":{\"position\":7}}}");
    assert_int_equal(position_of("first"), -1);
}

/* It waits for no runner. */
static void the_runner_is_no_reason(void **state)
{
    make_waiting("b");
    assert_int_equal(store_run(world.f.store, device_runner_absent, NULL, NULL), 0);
    assert_string_equal(answer_str(get(200, "devices/b"), "status.reason"), "PortsExhausted");
    assert_string_equal(answer_str(get(200, "devices/first"), "status.reason"), "RunnerAbsent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_device_says_what_it_waits_for), TEST(all_behind_move_up),      TEST(dry_runs_move_nobody),
        TEST(the_order_survives_a_restart),    TEST(many_who_wait),           TEST(an_older_list_is_read),
        TEST(a_place_is_the_servers_to_say),   TEST(the_runner_is_no_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
