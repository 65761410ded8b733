/* The controller over a runtime that is no engine: it knows runtime.h alone. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "kinds/device.h"
#include "runner/environment/controller.h"
#include "runner/environment/limits.h"
#include "runner/environment/storage.h"
#include "unit/client/peer.h"
#include "unit/runner/api.h"
#include "unit/runner/pretend.h"

#define PATIENCE_US (INT64_C(60) * 1000000)
#define SANDBOX                                                                                                         \
    "{\"metadata\":{\"name\":\"plain\"},\"spec\":{\"cpuImageName\":\"i\",\"socket\":\"/run/o/s\",\"home\":\"/home/x\"," \
    "\"readinessPath\":\"/ready\"}}"
#define DEVICE                                                                                                         \
    "{\"metadata\":{\"name\":\"ada\",\"uid\":\"u1\",\"generation\":1,\"finalizers\":[\"" DEVICE_FINALIZER              \
    "\"]},\"spec\":{\"openHydraUsername\":\"ada\"},\"status\":{\"sandboxName\":\"plain\",\"port\":31000,\"hostId\":7}}"

struct setup {
    char data[64], runtime[64];
    struct api api;
    struct pretend pretend;
    struct config *config;
    struct client *client;
    int stop_fd;
    struct controller *controller;
};

static void run_controller(struct setup *s)
{
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->client = client_new(&(struct client_options){
        .transport = {.socket = s->api.path, .url = "http://server"}, .prefix = "/apis/g/v1", .stop_fd = s->stop_fd});
    s->controller = controller_start(&(struct controller_options){s->config, s->client, &s->pretend.base});
}

static void stop_controller(struct setup *s)
{
    uint64_t one = 1;

    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
    controller_stop(s->controller);
    client_free(s->client);
    close(s->stop_fd);
}

static int begin_with(void **state, bool unready)
{
    struct setup *s = xcalloc(1, sizeof(*s));
    struct config_flags flags = {0};

    limits.ready_poll_ms = limits.prepared_poll_ms = 5;
    limits.ask_seconds = limits.check_seconds = 1;
    limits.storage_first_seconds = 0;
    limits.storage_seconds = limits.storage_soon_seconds = 1;
    api_start(&s->api);
    snprintf(s->data, sizeof(s->data), "%s/data", s->api.directory);
    snprintf(s->runtime, sizeof(s->runtime), "%s/run", s->api.directory);
    assert_int_equal(mkdir(s->data, 0755), 0);
    assert_int_equal(chmod(s->api.directory, 0755), 0); /* or the state would go elsewhere */
    flags.data = s->data;
    flags.runtime = s->runtime;
    s->config = config_load(&flags, NULL);
    assert_non_null(s->config);
    pretend_init(&s->pretend);
    s->pretend.unready = unready;
    api_put(&s->api, "sandboxes", SANDBOX);
    api_put(&s->api, "devices", DEVICE);
    run_controller(s);
    *state = s;
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, false);
}

static int begin_unready(void **state)
{
    return begin_with(state, true);
}

static int finish(void **state)
{
    struct setup *s = *state;

    stop_controller(s);
    pretend_end(&s->pretend);
    _cleanup_free_ char *named = xasprintf("%s/images", s->data);
    unlink(named);
    rmdir(s->data);
    api_end(&s->api);
    config_free(s->config);
    free(s);
    return 0;
}

static bool says(struct setup *s, const char *path, const char *value)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    return streq(json_str_at(yyjson_doc_get_root(doc), path), value);
}

#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int64_t _begun = clock_monotonic_us();                                                                         \
        while (!(condition)) {                                                                                         \
            usleep(2000);                                                                                              \
            if (clock_monotonic_us() - _begun > PATIENCE_US)                                                           \
                fail_msg("it did not come to that: %s", s->api.log);                                                   \
        }                                                                                                              \
    } while (0)

static bool is_there(struct setup *s)
{
    LOCK_SCOPE(&s->pretend.lock);
    return s->pretend.there;
}

static bool is_gone(struct setup *s)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    return doc == NULL;
}

/* What the server was told last, of one endpoint. */
static void told(struct setup *s, const char *address)
{
    _cleanup_free_ char *body = api_last_put(&s->api);
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(body), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc), *list = json_at(root, "endpoints"), *one = yyjson_arr_get_first(list);

    assert_int_equal(yyjson_arr_size(list), 1);
    assert_string_equal(json_str_at(root, "deviceUid"), "u1");
    assert_string_equal(json_str_at(one, "name"), "main");
    assert_string_equal(json_str_at(one, "address"), address);
    LOCK_SCOPE(&s->pretend.lock);
    assert_string_equal(json_str_at(one, "token"), s->pretend.token);
}

static bool says_condition(struct setup *s, const char *type, const char *reason)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_at(yyjson_doc_get_root(doc), "status.conditions"), i, max, v) {
        if (streq(json_str_at(v, "type"), type) && streq(json_str_at(v, "reason"), reason))
            return streq(json_str_at(v, "status"), "False");
    }
    return false;
}

static unsigned looks(struct setup *s)
{
    LOCK_SCOPE(&s->pretend.lock);
    return s->pretend.prepared;
}

/* It is asked again and again, says how far it is, and no deadline ends it. */
static void test_what_takes_long_before_the_start(void **state)
{
    struct setup *s = *state;

    UNTIL(says(s, "status.reason", "MendingHome"));
    assert_true(says(s, "status.phase", "Preparing"));
    unsigned before = looks(s);
    UNTIL(looks(s) > before + 3);
    UNTIL(!says(s, "status.message", "look 1") && says_condition(s, "HomeContinued", "FormerUser"));
    assert_false(is_there(s));
    {
        LOCK_SCOPE(&s->pretend.lock);
        s->pretend.unready = false;
    }
    UNTIL(is_there(s));
    pretend_reach(&s->pretend);
    UNTIL(says(s, "status.phase", "Running"));
    assert_true(says_condition(s, "HomeContinued", "FormerUser"));
}

/* Its address comes after its start, and may be another one day. */
static void test_an_address_that_comes_later(void **state)
{
    struct setup *s = *state;

    UNTIL(is_there(s) && says(s, "status.phase", "Starting"));
    assert_int_equal(api_count(&s->api, "PUT devices/ada/endpoint", 200), 0);
    pretend_reach(&s->pretend);
    UNTIL(says(s, "status.phase", "Running"));
    told(s, s->pretend.address);
    assert_true(says(s, "status.containerName", "pretended-u1"));
    assert_string_equal(s->pretend.home, "/home/x");
    assert_int_equal(s->pretend.prepared, 1);

    pretend_reach(&s->pretend);
    UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == 2);
    told(s, s->pretend.address);
    /* It is asked there as well. */
    UNTIL(atomic_load(&s->pretend.answerer.asked) > 2);
    assert_true(says(s, "status.phase", "Running"));
    assert_int_equal(s->pretend.prepared, 1);
}

static void test_its_end(void **state)
{
    struct setup *s = *state;

    UNTIL(is_there(s));
    pretend_reach(&s->pretend);
    UNTIL(says(s, "status.phase", "Running"));
    api_patch(&s->api, "devices", "ada", "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"}}");
    UNTIL(is_gone(s));
    assert_false(is_there(s));
    assert_int_equal(s->pretend.removed, 1);
}

/* The next runner finds it by what the runtime says. */
static void test_it_is_adopted(void **state)
{
    struct setup *s = *state;

    UNTIL(is_there(s));
    pretend_reach(&s->pretend);
    UNTIL(says(s, "status.phase", "Running"));
    stop_controller(s);
    run_controller(s);
    UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == 2);
    told(s, s->pretend.address);
    assert_int_equal(s->pretend.prepared, 1);
}

/* --- what homes take --- */

#define MIB (UINT64_C(1) << 20)

static void take(struct setup *s, uint64_t mib, bool enforced)
{
    LOCK_SCOPE(&s->pretend.lock);
    s->pretend.storage = (struct runtime_storage){.bytes = mib * MIB, .files = 3, .enforced = enforced};
}

static bool has_room(struct setup *s, const char *status, const char *reason)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach (json_at(yyjson_doc_get_root(doc), "status.conditions"), i, max, one) {
        if (streq(json_str_at(one, "type"), "HomeHasRoom"))
            return streq(json_str_at(one, "status"), status) && streq(json_str_at(one, "reason"), reason);
    }
    return false;
}

static bool takes(struct setup *s, uint64_t mib, uint64_t quota_mib)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    yyjson_val *storage = json_at(yyjson_doc_get_root(doc), "status.storage");

    return json_int_at(storage, "usedBytes", -1) == (int64_t)(mib * MIB) &&
           json_int_at(storage, "quotaBytes", -1) == (int64_t)(quota_mib * MIB) && json_str_at(storage, "measuredAt");
}

static unsigned home_looks(struct setup *s)
{
    LOCK_SCOPE(&s->pretend.lock);
    return s->pretend.looked;
}

static bool looked_for(struct setup *s, uint64_t quota, uint32_t id)
{
    LOCK_SCOPE(&s->pretend.lock);
    return s->pretend.looked_for.quota == quota && s->pretend.looked_for.id == id;
}

static void wait_for_looks(struct setup *s, unsigned more)
{
    unsigned before = home_looks(s);
    UNTIL(home_looks(s) >= before + more);
}

/* The server gives this user 100 MiB. */
#define QUOTA "{\"status\":{\"homeQuotaBytes\":104857600}}"

static void test_what_its_home_takes(void **state)
{
    struct setup *s = *state;

    UNTIL(is_there(s));
    pretend_reach(&s->pretend);
    take(s, 50, false);
    UNTIL(says(s, "status.phase", "Running") && takes(s, 50, 0));
    assert_false(has_room(s, "True", "WithinQuota"));
    api_patch(&s->api, "devices", "ada", QUOTA);
    UNTIL(takes(s, 50, 100) && has_room(s, "True", "WithinQuota"));
    UNTIL(looked_for(s, 100 * MIB, 7));

    unsigned written = api_count(&s->api, "PATCH devices/ada/status", 200);
    take(s, 51, false);
    wait_for_looks(s, 2);
    assert_int_equal(api_count(&s->api, "PATCH devices/ada/status", 200), written);
    take(s, 92, false);
    UNTIL(takes(s, 92, 100) && has_room(s, "False", "HomeNearlyFull"));
    take(s, 300, false);
    UNTIL(takes(s, 300, 100) && has_room(s, "False", "HomeOverQuota"));
    assert_true(says(s, "status.phase", "Running"));
}

static void begin_anew(struct setup *s, const char *uid)
{
    _cleanup_free_ char *device =
        xasprintf("{\"metadata\":{\"name\":\"ada\",\"uid\":\"%s\",\"generation\":1,\"finalizers\":[\"" DEVICE_FINALIZER
                  "\"]},\"spec\":{\"openHydraUsername\":\"ada\"},\"status\":{\"sandboxName\":\"plain\",\"port\":31000,"
                  "\"hostId\":7,\"homeQuotaBytes\":104857600}}",
                  uid);

    api_patch(&s->api, "devices", "ada", "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"}}");
    UNTIL(is_gone(s));
    api_put(&s->api, "devices", device);
}

/* Nothing but a much too large home that is only measured keeps an environment from starting. */
static void test_a_home_over_its_quota(void **state)
{
    struct setup *s = *state;

    api_patch(&s->api, "devices", "ada", QUOTA);
    UNTIL(is_there(s));
    pretend_reach(&s->pretend);
    take(s, 111, false);
    UNTIL(says(s, "status.phase", "Running") && has_room(s, "False", "HomeOverQuota"));
    begin_anew(s, "u2");
    UNTIL(says(s, "status.phase", "Failed") && says(s, "status.reason", "HomeOverQuota"));
    assert_true(takes(s, 111, 100));
    assert_false(is_there(s));

    take(s, 109, false);
    UNTIL(is_there(s));
    {
        LOCK_SCOPE(&s->pretend.lock);
        assert_int_equal(s->pretend.home_quota, 100 * MIB);
    }
    pretend_reach(&s->pretend);
    UNTIL(says(s, "status.phase", "Running") && takes(s, 109, 100));

    take(s, 400, false);
    UNTIL(takes(s, 400, 100));
    begin_anew(s, "u3");
    UNTIL(says(s, "status.reason", "HomeOverQuota"));
    api_patch(&s->api, "devices", "ada", "{\"spec\":{\"safeMode\":true}}");
    UNTIL(is_there(s));

    take(s, 401, true);
    UNTIL(takes(s, 401, 100) && has_room(s, "False", "HomeOverQuota"));
    begin_anew(s, "u4");
    UNTIL(is_there(s));
}

/* What the status of the device says holds for the next runner, which does not look at all homes at once. */
static void test_what_was_measured_is_kept(void **state)
{
    struct setup *s = *state;

    api_patch(&s->api, "devices", "ada", QUOTA);
    UNTIL(is_there(s));
    take(s, 300, false);
    UNTIL(takes(s, 300, 100));
    stop_controller(s);
    limits.storage_seconds = limits.storage_soon_seconds = 600;
    unsigned before = home_looks(s);
    {
        LOCK_SCOPE(&s->pretend.lock);
        s->pretend.there = false; /* it ended meanwhile */
    }
    run_controller(s);
    UNTIL(says(s, "status.reason", "HomeOverQuota"));
    assert_int_equal(home_looks(s), before);
}

/* Who was made again under a name has other homes than who had it before. */
static void test_numbers_are_a_persons(void **state)
{
    struct storage *st = storage_new(&(struct storage_options){0});
    const struct runtime_owner ada = {"ada", 7, 100 * MIB}, another = {"ada", 8, 100 * MIB};
    const struct home_use was = {.bytes = 300 * MIB, .quota = 100 * MIB, .measured_us = 1}, nothing = {0};
    struct home_use found;

    storage_follow(st, "ada", &ada, &was);
    assert_true(storage_find(st, "ada", &found) && found.bytes == 300 * MIB);
    storage_leave(st, "ada");
    storage_follow(st, "ada", &ada, &nothing);
    assert_true(storage_find(st, "ada", &found));
    storage_follow(st, "ada", &another, &nothing);
    assert_false(storage_find(st, "ada", &found));
    storage_free(st);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_address_that_comes_later),
        TEST(test_its_end),
        TEST(test_it_is_adopted),
        cmocka_unit_test_setup_teardown(test_what_takes_long_before_the_start, begin_unready, finish),
        TEST(test_what_its_home_takes),
        TEST(test_a_home_over_its_quota),
        TEST(test_what_was_measured_is_kept),
        cmocka_unit_test(test_numbers_are_a_persons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
