/* Devices: one for each user, what is given to it, what it says from its deletion on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/gateway/room.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device_status.h"
#include "unit/hooks/world.h"

static int setup(void **state)
{
    world_start(3, 16);
    return 0;
}

static int teardown(void **state)
{
    world_stop();
    return 0;
}

static void make_users(const char *names)
{
    struct str rest = str_from(names), one;

    while (str_split(&rest, ' ', &one)) {
        _cleanup_free_ char *name = xstrndup(one.p, one.n);
        make_user(name, 2, NULL);
    }
}

/* A value of a device, as text; valid until the next call. */
static const char *said(const char *device, const char *path)
{
    _cleanup_free_ char *whole = xasprintf("devices/%s", device);

    return answer_str(get(200, whole), path);
}

/* A user goes, whose environment the runner has stopped. */
static void remove_user(const char *name)
{
    _cleanup_free_ char *path = xasprintf("openhydrausers/%s", name);

    delete_(200, path);
    runner_lets_go(name);
    get(404, path);
}

/* --- Ports --- */

static void ports_of_the_range(void **state)
{
    make_users("a b c");
    make_device(201, "a");
    make_device(201, "b");
    make_device(201, "c");
    assert_int_equal(port_of("a"), 31000);
    assert_int_equal(port_of("b"), 31001);
    assert_int_equal(port_of("c"), 31002);
    /* Kept from one environment to the next. */
    delete_(200, "devices/b");
    runner_lets_go("b");
    make_device(201, "b");
    assert_int_equal(port_of("b"), 31001);
    assert_string_equal(said("b", "spec.sandboxURLs"), "http://127.0.0.1:31001");
}

static void ports_of_others_are_left_out(void **state)
{
    world.excluded[0] = 31000;
    world.excluded[1] = 31002;
    world.context.excluded_ports_len = 2;
    make_users("a b");
    make_device(201, "a");
    assert_int_equal(port_of("a"), 31001);
    make_device(201, "b");
    assert_int_equal(port_of("b"), 0);
    delete_(200, "devices/b");
    runner_lets_go("b");
    /* Whose port became another program's gets another. */
    world.excluded[0] = 31001;
    delete_(200, "devices/a");
    runner_lets_go("a");
    make_device(201, "a");
    assert_int_equal(port_of("a"), 31000);
    make_device(201, "b");
    assert_int_equal(port_of("b"), 0);
    /* The one that it had does not come back while another program has it, though it has been free longest … */
    remove_user("a");
    assert_int_equal(port_of("b"), 31000);
    make_users("c");
    make_device(201, "c");
    assert_int_equal(port_of("c"), 0);
    /* … but afterwards. */
    world.excluded[0] = 31000;
    delete_(200, "devices/c");
    runner_lets_go("c");
    make_device(201, "c");
    assert_int_equal(port_of("c"), 31001);
}

/* A port that was somebody's goes out last, and the one that has been free longest first: browsers remember origins. */
static void freed_ports_rest(void **state)
{
    make_users("a b c d e");
    make_device(201, "a");
    make_device(201, "b");
    remove_user("b");
    remove_user("a");
    make_device(201, "c");
    assert_int_equal(port_of("c"), 31002); /* never given yet */
    make_device(201, "d");
    assert_int_equal(port_of("d"), 31001);
    make_device(201, "e");
    assert_int_equal(port_of("e"), 31000);
}

/* Whoever waits longest is served first. */
static void waiting_for_a_port(void **state)
{
    make_users("a b c d e");
    make_device(201, "a");
    make_device(201, "b");
    make_device(201, "c");
    make_device(201, "e");
    make_device(201, "d");
    assert_int_equal(port_of("d"), 0);
    assert_int_equal(port_of("e"), 0);
    assert_string_equal(said("e", "status.reason"), "PortsExhausted");
    assert_string_equal(said("e", "spec.sandboxURLs"), "");
    remove_user("b");
    assert_int_equal(port_of("e"), 31001);
    assert_int_equal(port_of("d"), 0);
    assert_string_equal(said("e", "status.reason"), "RunnerAbsent");
    assert_string_equal(said("e", "spec.jupyterLabUrl"), "http://127.0.0.1:31001");
    assert_null(secret("port-waiting", "e"));
    remove_user("a");
    assert_int_equal(port_of("d"), 31000);
    assert_null(secret("port-waiting", "d"));
}

/* One user who goes may serve none, one that waits, and not more. */
static void all_that_can_be_are_served(void **state)
{
    make_users("a b c d e");
    make_device(201, "a");
    make_device(201, "b");
    make_device(201, "c");
    make_device(201, "d");
    make_device(201, "e");
    world.config.environments.last = 31004; /* the configuration gives more at the next start */
    assert_int_equal(store_run(world.f.store, allocation_serve, &world.context, NULL), 0);
    assert_int_equal(port_of("d"), 31003);
    assert_int_equal(port_of("e"), 31004);
}

/* Who waits and goes waits no longer; who is on the way out is given none. */
static void the_waiting_that_go(void **state)
{
    make_users("a b c d e");
    make_device(201, "a");
    make_device(201, "b");
    make_device(201, "c");
    make_device(201, "d");
    make_device(201, "e");
    delete_(200, "devices/d");
    remove_user("a");
    assert_string_equal(said("d", "status.phase"), "Stopping");
    assert_string_equal(said("d", "status.reason"), "Deleted");
    assert_string_equal(said("d", "spec.deviceStatus"), "Terminating");
    assert_int_equal(port_of("d"), 0);
    assert_int_equal(port_of("e"), 31000);
    runner_lets_go("d");
    get(404, "devices/d");
    assert_null(secret("port-waiting", "d"));
    make_device(201, "d");
    _cleanup_free_ char *waits = secret("port-waiting", "d");
    assert_non_null(waits);
    delete_(200, "devices/d");
    runner_lets_go("d");
    assert_null(secret("port-waiting", "d"));
}

/* --- Host ids --- */

static void host_ids_are_ones_own(void **state)
{
    make_users("a b");
    make_device(201, "a");
    make_device(201, "b");
    assert_int_equal(answer_int(get(200, "devices/a"), "status.hostId"), 1879048192 + 65536);
    assert_int_equal(answer_int(get(200, "devices/b"), "status.hostId"), 1879048192 + 2 * 65536);
    /* Beyond the user's end: the files bear them, and who is made again is somebody else. */
    remove_user("a");
    make_users("c a");
    make_device(201, "c");
    make_device(201, "a");
    assert_int_equal(answer_int(get(200, "devices/c"), "status.hostId"), 1879048192 + 3 * 65536);
    assert_int_equal(answer_int(get(200, "devices/a"), "status.hostId"), 1879048192 + 4 * 65536);
}

/* The first of the configured ranges is of the service users: of three, two are given. */
static void host_ids_end(void **state)
{
    world.config.host_id_count = 3;
    make_users("a b c");
    make_device(201, "a");
    make_device(201, "b");
    make_device(422, "c");
    delete_(200, "devices/a");
    runner_lets_go("a");
    make_device(201, "a");
}

/* --- Create --- */

static void create_with(long code, int role, const char *name, const char *spec)
{
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"openHydraUsername\":\"a\"%s%s}}",
                                          name, *spec ? "," : "", spec);

    create_as("a", role, code, "devices", body);
    if (code == 201) {
        delete_(200, "devices/a");
        runner_lets_go("a");
    }
}

static void no_more_than_everybody(void **state)
{
    make_users("a");
    create_with(201, 2, "a", "\"deviceCpu\":\"2000\",\"deviceRam\":\"8192\",\"deviceGpu\":0");
    create_with(403, 2, "a", "\"deviceCpu\":\"2001\"");
    create_with(403, 2, "a", "\"deviceRam\":\"8193\"");
    create_with(403, 2, "a", "\"deviceGpu\":1");
    create_with(201, 1, "a", "\"deviceCpu\":\"2001\",\"deviceRam\":\"8193\",\"deviceGpu\":1");
    create_with(201, 2, "a", "\"deviceCpu\":\"10\",\"deviceRam\":\"64\"");
    create_with(422, 2, "a", "\"deviceCpu\":\"9\"");
    create_with(422, 1, "a", "\"deviceRam\":\"63\"");
    create_with(403, 2, "b", "");
    create_with(422, 1, "a", "\"sandboxName\":\"nowhere\"");
    create_with(422, 1, "a", "\"ideType\":\"vscode\"");
}

static void one_for_each_user(void **state)
{
    make_users("a b");
    make_device(201, "a");
    create(409, "devices", "{\"metadata\":{\"name\":\"another\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    make_device(201, "b");
    delete_(200, "devices/a");
    struct answer *a =
        create(409, "devices", "{\"metadata\":{\"name\":\"another\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    assert_true(answer_has(a, "being deleted still"));
    runner_lets_go("a");
    create(201, "devices", "{\"metadata\":{\"name\":\"another\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    create(422, "devices", "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"openHydraUsername\":\"c\"}}");
    /* Which one it is, where it has another name than its owner. */
    a = create(409, "devices", "{\"metadata\":{\"name\":\"third\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    assert_true(answer_has(a, "user a has an environment already: device \\\"another\\\""));
    delete_(200, "devices/another");
    a = create(409, "devices", "{\"metadata\":{\"name\":\"third\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    assert_true(answer_has(a, "user a has an environment that is being deleted still: device \\\"another\\\""));
}

static void a_dry_run_gives_nothing(void **state)
{
    make_users("a b");
    create(201, "devices?dryRun=All", "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    assert_null(secret("device-of-user", "a"));
    assert_null(secret("port", "a"));
    make_device(201, "b");
    assert_int_equal(port_of("b"), 31000);
    delete_(200, "devices/b?dryRun=All");
    assert_string_equal(said("b", "status.phase"), "Queued");
    assert_string_equal(said("b", "spec.sandboxURLs"), "http://127.0.0.1:31000");
    delete_(200, "openhydrausers/b?dryRun=All");
    assert_string_equal(said("b", "metadata.deletionTimestamp"), "(absent)");
}

/* --- From the deletion on --- */

#define RUNS                                                                                                           \
    "{\"status\":{\"phase\":\"Running\",\"reason\":\"Answers\",\"message\":\"it answers\",\"containerName\":\"c\","    \
    "\"conditions\":[{\"type\":\"EngineAvailable\",\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"True\","      \
    "\"reason\":\"Answers\",\"lastTransitionTime\":\"2020-01-01T00:00:00Z\"}]}}"

/* Neither phase, nor the old status, nor an address, nor a condition. */
static void assert_not_running(const char *device, const char *phase)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device);
    struct answer *a = get(200, path);

    assert_string_equal(answer_str(a, "status.phase"), phase);
    assert_string_equal(answer_str(a, "spec.deviceStatus"), "Terminating");
    assert_string_equal(answer_str(a, "spec.sandboxURLs"), "");
    assert_string_equal(answer_str(a, "spec.jupyterLabUrl"), "(absent)");
    assert_false(answer_has(a, "http://"));
    assert_false(answer_has(a, "Running"));
    assert_false(answer_has(a, "\"type\":\"Ready\",\"status\":\"True\""));
    assert_true(answer_has(a, "\"type\":\"EngineAvailable\",\"status\":\"True\""));
    assert_false(answer_has(a, "2020-01-01T00:00:00Z"));
}

static void make_running(const char *owner)
{
    _cleanup_free_ char *path = xasprintf("devices/%s/status", owner);

    make_users(owner);
    make_device(201, owner);
    patch_as(RUNNER, 200, path, RUNS);
    assert_string_equal(said(owner, "spec.deviceStatus"), "Running");
}

/* Asked for itself, or with its user: the same. */
static void what_goes_never_says_running(void **state)
{
    make_running("a");
    make_running("b");
    delete_(200, "devices/a");
    delete_(200, "openhydrausers/b");
    assert_not_running("a", "Stopping");
    assert_not_running("b", "Stopping");
    /* A word of the runner that was on its way. */
    patch_as(RUNNER, 200, "devices/a/status", RUNS);
    assert_not_running("a", "Stopping");
    assert_string_equal(said("a", "status.reason"), "Deleted");
    patch_as(RUNNER, 200, "devices/a/status", "{\"status\":{\"phase\":\"Failed\",\"reason\":\"x\"}}");
    assert_string_equal(said("a", "status.phase"), "Stopping");
    patch_as(RUNNER, 200, "devices/a/status", "{\"status\":{\"phase\":\"Stopping\",\"reason\":\"StopTimeout\"}}");
    assert_string_equal(said("a", "status.reason"), "StopTimeout");
    patch_as(RUNNER, 200, "devices/a/status", "{\"status\":{\"phase\":\"Stopped\",\"reason\":\"HeldByFinalizers\"}}");
    assert_not_running("a", "Stopped");
}

static void finalizers_of_others_hold_a_device(void **state)
{
    make_users("a b");
    create(
        201, "devices",
        "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"example.org/keep\"]},\"spec\":{\"openHydraUsername\":\"a\"}}");
    struct answer *a = get(200, "devices/a");
    assert_true(answer_has(a, "\"finalizers\":[\"example.org/keep\",\"" OURS "\"]"));
    create(201, "devices",
           "{\"metadata\":{\"name\":\"b\",\"finalizers\":[\"" OURS "\"]},\"spec\":{\"openHydraUsername\":\"b\"}}");
    assert_true(answer_has(get(200, "devices/b"), "\"finalizers\":[\"" OURS "\"]"));
    delete_(200, "openhydrausers/a");
    runner_lets_go("a");
    assert_true(answer_has(get(200, "devices/a"), "\"finalizers\":[\"example.org/keep\"]"));
    get(200, "openhydrausers/a");
    patch(200, "devices/a", "{\"metadata\":{\"finalizers\":[]}}");
    get(404, "devices/a");
    get(404, "openhydrausers/a");
}

/* Whose it is stands beside it alone: its own user is free then, and no other. */
static void one_that_cannot_be_read(void **state)
{
    char name[] = "other", of_c[] = "c";

    make_users("a b c");
    make_device(201, "a");
    create(201, "devices", "{\"metadata\":{\"name\":\"other\"},\"spec\":{\"openHydraUsername\":\"b\"}}");
    make_device(201, "c");
    world_restart_with_damaged(name);
    make_device(409, "b");
    /* Its user waits for it, since nobody knows what runs. */
    delete_(200, "openhydrausers/b");
    get(200, "openhydrausers/b");
    delete_(200, "devices/other");
    get(404, "openhydrausers/b");
    assert_null(secret("device-of-user", "b"));
    make_users("b");
    make_device(201, "b");
    create(409, "devices", "{\"metadata\":{\"name\":\"second\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    create(409, "devices", "{\"metadata\":{\"name\":\"second\"},\"spec\":{\"openHydraUsername\":\"c\"}}");
    /* Whichever of them comes first where they are noted. */
    world_restart_with_damaged(of_c);
    delete_(200, "devices/c");
    create(409, "devices", "{\"metadata\":{\"name\":\"second\"},\"spec\":{\"openHydraUsername\":\"b\"}}");
    create(409, "devices", "{\"metadata\":{\"name\":\"second\"},\"spec\":{\"openHydraUsername\":\"a\"}}");
    make_device(201, "c");
}

/* --- Status --- */

static void what_the_server_gave_stays(void **state)
{
    make_users("a");
    make_device(201, "a");
    patch_as(RUNNER, 200, "devices/a/status",
             "{\"status\":{\"port\":1,\"hostId\":2,\"urls\":[\"http://evil\"],\"sandboxName\":\"x\",\"restarts\":1}}");
    struct answer *a = get(200, "devices/a");
    assert_int_equal(answer_int(a, "status.port"), 31000);
    assert_int_equal(answer_int(a, "status.hostId"), 1879048192 + 65536);
    assert_string_equal(answer_str(a, "status.sandboxName"), "jupyter-lab");
    assert_false(answer_has(a, "evil"));
    assert_int_equal(answer_int(a, "status.restarts"), 1);
    /* What stops has no address for those who do not know the phase. */
    patch_as(RUNNER, 200, "devices/a/status", "{\"status\":{\"phase\":\"Stopping\"}}");
    assert_string_equal(said("a", "spec.sandboxURLs"), "");
    assert_string_equal(said("a", "spec.jupyterLabUrl"), "(absent)");
}

/* Without a runner, what is on its way says so; what runs, has failed or goes says what it said. */
static void without_a_runner(void **state)
{
    static const struct {
        const char *name, *phase, *reason;
    } devices[] = {{"a", "Queued", "RunnerAbsent"},   {"b", "Preparing", "RunnerAbsent"},
                   {"c", "Starting", "RunnerAbsent"}, {"d", "Running", "mine"},
                   {"e", "Failed", "mine"},           {"f", "Stopping", "mine"},
                   {"g", "Stopped", "mine"}};
    char path[64], body[128];

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        make_users(devices[i].name);
        make_device(201, devices[i].name);
        if (i >= 5) {
            snprintf(path, sizeof(path), "devices/%s", devices[i].name);
            delete_(200, path);
        }
        snprintf(path, sizeof(path), "devices/%s/status", devices[i].name);
        snprintf(body, sizeof(body), "{\"status\":{\"phase\":\"%s\",\"reason\":\"mine\"}}", devices[i].phase);
        patch_as(RUNNER, 200, path, body);
    }
    assert_int_equal(store_run(world.f.store, device_runner_absent, NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        assert_string_equal(said(devices[i].name, "status.reason"), devices[i].reason);
        assert_string_equal(said(devices[i].name, "status.phase"), devices[i].phase);
    }
    assert_string_equal(said("c", "spec.deviceStatus"), "Pending");
    /* Said once. */
    uint64_t revision = store_revision(world.f.store);
    assert_int_equal(store_run(world.f.store, device_runner_absent, NULL, NULL), 0);
    assert_int_equal(store_revision(world.f.store), revision);
    /* With one, a new device says that it waits for it. */
    atomic_store(&world.runner_present, true);
    delete_(200, "devices/a");
    runner_lets_go("a");
    make_device(201, "a");
    assert_string_equal(said("a", "status.reason"), "Queued");
}

/* As the original's clients ask for an environment, and where they look for its address. */
static void the_two_environments_of_the_original(void **state)
{
    make_users("a b c");
    create(422, "devices",
           "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"openHydraUsername\":\"b\",\"ideType\":\"vscode\"}}");
    create(201, "sandboxes",
           "{\"metadata\":{\"name\":\"vscode\"},\"spec\":{\"cpuImageName\":\"a:b\",\"socket\":\"/run/a/s\"}}");
    create(201, "devices",
           "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"openHydraUsername\":\"a\",\"ideType\":\"jupyter-lab\"}}");
    create(201, "devices",
           "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"openHydraUsername\":\"b\",\"ideType\":\"vscode\"}}");
    create(
        201, "devices",
        "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"openHydraUsername\":\"c\",\"ideType\":\"vscode\",\"sandboxName\":"
        "\"jupyter-lab\"}}");
    assert_string_equal(said("a", "status.sandboxName"), "jupyter-lab");
    assert_string_equal(said("b", "status.sandboxName"), "vscode");
    assert_string_equal(said("c", "status.sandboxName"), "jupyter-lab");
    assert_string_equal(said("a", "spec.jupyterLabUrl"), "http://127.0.0.1:31000");
    assert_string_equal(said("a", "spec.vsCodeUrl"), "(absent)");
    assert_string_equal(said("b", "spec.vsCodeUrl"), "http://127.0.0.1:31001");
    assert_string_equal(said("b", "spec.jupyterLabUrl"), "(absent)");
    assert_string_equal(said("c", "spec.jupyterLabUrl"), "http://127.0.0.1:31002");
    delete_(200, "devices/b");
    assert_string_equal(said("b", "spec.vsCodeUrl"), "(absent)");
    assert_string_equal(said("b", "spec.sandboxURLs"), "");
}

/* --- Where it listens --- */

static struct answer *tell(long code, const char *body, ...) _printf_(2, 3);

/* As the runner does; %s of the body is the device's uid. */
static struct answer *tell(long code, const char *body, ...)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a"), *text = NULL;
    va_list args;

    va_start(args, body);
    assert_true(vasprintf(&text, body, args) >= 0);
    va_end(args);
    _cleanup_free_ char *whole = xasprintf("{\"deviceUid\":\"%s\",%s}", uid, text);
    struct call c = {.method = "PUT", .path = GROUP "devices/a/endpoint", .body = whole, .user = RUNNER};
    return expect(code, call(&world.f, &c));
}

/* «ADDRESS TOKEN» of that name, or of the first. */
static const char *listens_at(struct arena *arena, const char *name)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a");
    struct endpoint e;

    if (!endpoints_find(world.gateway->endpoints, uid, name, arena, &e))
        return "nowhere";
    return arena_printf(arena, "%s %s", e.address + strlen("unix:") + strlen(world.f.directory),
                        e.token ? e.token : "-");
}

static void an_environment_listens_where_the_runner_says(void **state)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    const char *env = arena_printf(arena, "%s/env", world.f.directory);

    make_users("a");
    make_device(201, "a");
    assert_string_equal(listens_at(arena, NULL), "nowhere");
    tell(200,
         "\"endpoints\":[{\"name\":\"main\",\"address\":\"unix:%s/1/s\",\"token\":\"t\"},"
         "{\"name\":\"app\",\"address\":\"unix:%s/1/app\"}]",
         env, env);
    assert_string_equal(listens_at(arena, NULL), "/env/1/s t");
    assert_string_equal(listens_at(arena, "app"), "/env/1/app -");
    assert_string_equal(listens_at(arena, "other"), "nowhere");
    /* The list stands for all that was told before. */
    tell(200, "\"endpoints\":[{\"name\":\"web\",\"address\":\"unix:%s/2/s\",\"token\":null}]", env);
    assert_string_equal(listens_at(arena, NULL), "/env/2/s -");
    assert_string_equal(listens_at(arena, "main"), "nowhere");
    /* It goes with the device. */
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a");
    delete_(200, "devices/a");
    runner_lets_go("a");
    assert_false(endpoints_has(world.gateway->endpoints, uid));
}

static void endpoints_are_checked(void **state)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    const char *one = arena_printf(arena, "\"address\":\"unix:%s/env/s\"", world.f.directory);
    struct {
        long code;
        const char *body, *said;
    } cases[] = {
        {422, "\"endpoints\":[]", "1 to 16"},
        {400, "\"endpoints\":7", "endpoints are required"},
        {400, "\"endpoints\":[{}]", "endpoints[0]: name and address"},
        {400, "\"endpoints\":[7]", "endpoints[0]: name and address"},
        {422, arena_printf(arena, "\"endpoints\":[{\"name\":\"a\",%s},{\"name\":\"B\",%s}]", one, one),
         "endpoints[1]: name"},
        {422, arena_printf(arena, "\"endpoints\":[{\"name\":\"a\",%s},{\"name\":\"a\",%s}]", one, one), "two of"},
        {422, arena_printf(arena, "\"endpoints\":[{\"name\":\"a\",\"token\":\"\",%s}]", one), "endpoints[0]: token"},
        {422, "\"endpoints\":[{\"name\":\"a\",\"address\":\"unix:/etc/passwd\"}]", "endpoints[0]: address"},
        {422, "\"endpoints\":[{\"name\":\"a\",\"address\":\"http://127.0.0.1:80\"}]", "environmentNetworks"},
        {400, "\"socket\":\"/run/s\",\"token\":\"t\"", "endpoints are required"},
    };
    _cleanup_buffer_ struct buffer many = BUFFER_MAX(65536);

    make_users("a");
    make_device(201, "a");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct answer *a = tell(cases[i].code, "%s", cases[i].body);
        if (!answer_has(a, cases[i].said))
            fail_msg("case %zu does not say «%s»", i, cases[i].said);
    }
    for (int i = 0; i < 17; i++)
        buffer_printf(&many, "%s{\"name\":\"n%d\",%s}", i ? "," : "\"endpoints\":[", i, one);
    buffer_puts(&many, "]");
    assert_true(answer_has(tell(400, "%s", buffer_str(&many).p), "at most 16"));
    struct call another = {.method = "PUT",
                           .path = GROUP "devices/a/endpoint",
                           .body = "{\"deviceUid\":\"another\",\"endpoints\":[]}",
                           .user = RUNNER};
    assert_true(answer_has(expect(409, call(&world.f, &another)), "created anew"));
    assert_string_equal(listens_at(arena, NULL), "nowhere");
}

/* At the start; it is a name of a language and nothing else. */
static void an_owner_says_the_language(void **state)
{
    static const char *const refused[] = {"zh CN", "zh_CN.UTF-8", "", "x", "zh-", "zh=a", "a-very-long-tag-indeed"};

    make_users("ann");
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *body = xasprintf(
            "{\"metadata\":{\"name\":\"ann\"},\"spec\":{\"openHydraUsername\":\"ann\",\"language\":\"%s\"}}", refused[i]);
        assert_true(answer_has(create_as("ann", 2, 422, "devices", body), "spec.language"));
    }
    create_as("ann", 2, 201, "devices",
              "{\"metadata\":{\"name\":\"ann\"},\"spec\":{\"openHydraUsername\":\"ann\",\"language\":\"zh-CN\"}}");
    assert_string_equal(said("ann", "spec.language"), "zh-CN");
    assert_true(answer_has(patch_as("ann", 422, "devices/ann", "{\"spec\":{\"language\":\"en\"}}"), "spec.language"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(ports_of_the_range),
        TEST(ports_of_others_are_left_out),
        TEST(freed_ports_rest),
        TEST(waiting_for_a_port),
        TEST(all_that_can_be_are_served),
        TEST(the_waiting_that_go),
        TEST(host_ids_are_ones_own),
        TEST(host_ids_end),
        TEST(no_more_than_everybody),
        TEST(one_for_each_user),
        TEST(a_dry_run_gives_nothing),
        TEST(what_goes_never_says_running),
        TEST(finalizers_of_others_hold_a_device),
        TEST(one_that_cannot_be_read),
        TEST(what_the_server_gave_stays),
        TEST(without_a_runner),
        TEST(the_two_environments_of_the_original),
        TEST(an_owner_says_the_language),
        TEST(an_environment_listens_where_the_runner_says),
        TEST(endpoints_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
