/* Which device has a port: kept up with the store's log, whatever comes in between. */
#include "unit/gateway/configured.h"

#include <ftw.h>

#include "base/alloc.h"
#include "server/gateway/port_index.h"

#define FIRST 31000
#define LAST 31009

static char folder[64];
static struct store *store;
static struct port_index *ports;
static struct arena *arena;

static int setup(void **state)
{
    struct error *err = NULL;

    snprintf(folder, sizeof(folder), "/tmp/open-hydra-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    const struct store_options options = {
        .directory = folder, .log_max_events = 8, .log_max_age_seconds = 3600, .no_sync = true};
    store = store_open(&options, &err);
    if (store == NULL)
        fail_msg("%s", err->message);
    ports = port_index_new(store, FIRST, LAST);
    arena = arena_new();
    return 0;
}

static int drop(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    return remove(path);
}

static int teardown(void **state)
{
    port_index_free(ports);
    store_close(store);
    arena_free(arena);
    return nftw(folder, drop, 8, FTW_DEPTH | FTW_PHYS);
}

struct change {
    const char *name, *json; /* json NULL: removed */
};

static int apply(struct store_txn *t, void *arg, struct error **err)
{
    const struct change *c = arg;

    if (c->json)
        txn_put(t, "devices", c->name, "uid", str_from(c->json));
    else
        txn_delete(t, "devices", c->name, STR("{}"));
    return 0;
}

static void change(const char *name, const char *json)
{
    struct error *err = NULL;
    struct change c = {name, json};

    assert_int_equal(store_run(store, apply, &c, &err), 0);
}

static void put(const char *name, unsigned port, const char *phase)
{
    _cleanup_free_ char *json =
        xasprintf("{\"metadata\":{\"name\":\"%s\",\"uid\":\"uid\"},\"spec\":{\"openHydraUsername\":\"%s-owner\"},"
                  "\"status\":{\"port\":%u,\"phase\":\"%s\"}}",
                  name, name, port, phase);
    change(name, json);
}

static const char *at(uint16_t port)
{
    struct port_device d;
    return port_index_find(ports, port, arena, &d) ? d.name : NULL;
}

static void follows_changes(void **state)
{
    struct port_device d;

    assert_null(at(FIRST));
    put("a", FIRST, "Starting");
    assert_string_equal(at(FIRST), "a");
    put("a", FIRST, "Running");
    assert_true(port_index_find(ports, FIRST, arena, &d));
    assert_int_equal(d.phase, PHASE_RUNNING);
    assert_string_equal(d.owner, "a-owner");
    assert_string_equal(d.uid, "uid");
    assert_null(d.sandbox);
    put("a", LAST, "Running");
    assert_null(at(FIRST));
    assert_string_equal(at(LAST), "a");
    change("a", NULL);
    assert_null(at(LAST));
}

static void a_port_that_changed_hands_stays_with_the_new_one(void **state)
{
    put("a", FIRST, "Running");
    put("b", FIRST, "Running");
    assert_string_equal(at(FIRST), "b");
    change("a", NULL);
    assert_string_equal(at(FIRST), "b");
}

static void ports_outside_the_range_are_nobodys(void **state)
{
    put("a", LAST + 1, "Running");
    put("b", 0, "Queued");
    put("c", 31005, "Running");
    assert_null(at(LAST + 1));
    assert_null(at(0));
    assert_string_equal(at(31005), "c");
}

static void what_the_log_forgot_is_read_anew(void **state)
{
    assert_null(at(FIRST));
    put("gone", 31001, "Running");
    assert_string_equal(at(31001), "gone");
    change("gone", NULL);
    for (unsigned i = 0; i < 200; i++) {
        _cleanup_free_ char *name = xasprintf("d%u", i % 10);
        put(name, FIRST + i % 10, "Running");
    }
    assert_string_equal(at(31001), "d1");
    assert_string_equal(at(LAST), "d9");
}

static void unreadable_objects_are_no_devices(void **state)
{
    put("a", FIRST, "Running");
    change("a", "no json");
    assert_null(at(FIRST));
    put("a", FIRST, "Running");
    assert_string_equal(at(FIRST), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follows_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_that_changed_hands_stays_with_the_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(ports_outside_the_range_are_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_log_forgot_is_read_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable_objects_are_no_devices, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
