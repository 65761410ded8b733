/* The controller, with a server and a runtime that fail to order. Mounts and owners need root; they are made in a mount
 * namespace of this program's own. */
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/thread.h"
#include "runner/engine/place.h"
#include "runner/environment/controller.h"
#include "runner/environment/ended.h"
#include "runner/environment/health.h"
#include "support/small_disk.h"
#include "unit/client/peer.h"
#include "unit/runner/api.h"
#include "unit/runner/fake.h"

#define PATIENCE_US (INT64_C(60) * 1000000)
#define PAST "2020-01-01T00:00:00Z"

struct setup {
    char folder[32], *environments;
    struct api api;
    struct fake fake;
    struct config *config;
    struct client *client;
    int stop_fd;
    struct controller *controller;
};

static struct limits real;

/* --- scene -------------------------------------------------------------------------------------------------------- */

static void shrink(void)
{
    limits = real;
    limits.retry_first_ms = 20;
    limits.retry_longest_ms = 100;
    limits.restart_first_ms = 10;
    limits.ready_poll_ms = 5;
    limits.image_missing_seconds = 1;
    limits.pull_retry_seconds = 1;
    limits.pull_retry_longest_seconds = 1;
    limits.disk_full_seconds = 1;
    limits.storage_first_seconds = 3600;
    limits.check_seconds = 0;
    limits.ask_seconds = 1;
    limits.ask_answer_ms = 500;
    limits.ask_again_ms = 100;
    limits.gone_grace_ms = 300;
}

/* `more` begins with a comma. */
static void put_sandbox_of(struct setup *s, const char *name, const char *image, unsigned generation, const char *more)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"%s\",\"uid\":\"s-%s\",\"generation\":%u},\"spec\":{\"cpuImageName\":\"%s\","
        "\"socket\":\"/run/open-hydra/environment.sock\",\"home\":\"/home/student\",\"readinessPath\":\"/\"%s}}",
        name, name, generation, image, more);
    api_put(&s->api, "sandboxes", text);
}

static void put_sandbox(struct setup *s, const char *name)
{
    put_sandbox_of(s, name, "localhost/i", 1, "");
}

/* `range` counts from 1; `status` begins with a comma. */
static void put_owned_of(struct setup *s, const char *name, const char *uid, unsigned range, const char *owner,
                         const char *sandbox, const char *status)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"%s\",\"uid\":\"%s\",\"generation\":1,\"finalizers\":[\"%s\"]},\"spec\":{"
        "\"openHydraUsername\":\"%s\"},\"status\":{\"sandboxName\":\"%s\",\"port\":31000,\"hostId\":%u%s}}",
        name, uid, DEVICE_FINALIZER, owner, sandbox, s->config->host_id_base + range * s->config->host_id_size, status);
    api_put(&s->api, "devices", text);
}

static void put_owned(struct setup *s, const char *name, const char *uid, unsigned range, const char *owner,
                      const char *status)
{
    put_owned_of(s, name, uid, range, owner, "plain", status);
}

static void put_device(struct setup *s, const char *name, const char *uid, unsigned range, const char *status)
{
    put_owned(s, name, uid, range, name, status);
}

static void delete_device(struct setup *s, const char *name)
{
    api_patch(&s->api, "devices", name, "{\"metadata\":{\"deletionTimestamp\":\"" PAST "\"}}");
}

static void run_controller(struct setup *s)
{
    s->stop_fd = s->fake.stop_fd = eventfd(0, EFD_CLOEXEC);
    s->client = client_new(&(struct client_options){
        .transport = {.socket = s->api.path, .url = "http://server"}, .prefix = "/apis/g/v1", .stop_fd = s->stop_fd});
    s->controller = controller_start(&(struct controller_options){s->config, s->client, &s->fake.base});
}

static void stop_controller(struct setup *s)
{
    uint64_t one = 1;

    if (s->controller == NULL)
        return;
    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
    controller_stop(s->controller);
    client_free(s->client);
    close(s->stop_fd);
    s->controller = NULL;
}

static int begin(void **state)
{
    struct setup *s = xcalloc(1, sizeof(*s));
    struct config_flags flags = {0};
    char data[48], runtime[48];

    shrink();
    snprintf(s->folder, sizeof(s->folder), "/tmp/runner-env-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chmod(s->folder, 0755), 0);
    snprintf(data, sizeof(data), "%s/data", s->folder);
    snprintf(runtime, sizeof(runtime), "%s/run", s->folder);
    assert_int_equal(mkdir(data, 0755), 0);
    flags.data = data;
    flags.runtime = runtime;
    s->config = config_load(&flags, NULL);
    assert_non_null(s->config);
    s->environments = xasprintf("%s/env", s->folder);
    assert_int_equal(place_prepare_root(s->environments, getegid(), NULL), 0);
    api_start(&s->api);
    fake_init(&s->fake, s->config, s->environments);
    put_sandbox(s, "plain");
    *state = s;
    return 0;
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *w)
{
    return remove(path);
}

static int finish(void **state)
{
    struct setup *s = *state;
    char **places;

    stop_controller(s);
    fake_end(&s->fake);
    size_t n = place_list(s->environments, &places);
    for (size_t i = 0; i < n; i++) {
        int ignored _unused_ = place_remove(s->environments, places[i], NULL);
        free(places[i]);
    }
    free(places);
    api_end(&s->api);
    config_free(s->config);
    nftw(s->folder, remove_file, 16, FTW_DEPTH | FTW_PHYS);
    free(s->environments);
    free(s);
    return 0;
}

/* --- what is seen ------------------------------------------------------------------------------------------------- */

static yyjson_val *condition(yyjson_val *object, const char *type)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_at(object, "status.conditions"), i, max, v) {
        if (streq(json_str_at(v, "type"), type))
            return v;
    }
    return NULL;
}

static bool says(struct setup *s, const char *name, const char *path, const char *value)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", name);
    const char *found = json_str_at(yyjson_doc_get_root(doc), path);
    return value ? streq(found, value) : doc == NULL;
}

static bool condition_is(struct setup *s, const char *name, const char *type, const char *key, const char *value)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", name);
    return streq(json_str_at(condition(yyjson_doc_get_root(doc), type), key), value);
}

static int64_t number(struct setup *s, const char *name, const char *path)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", name);
    return json_int_at(yyjson_doc_get_root(doc), path, 0);
}

static void dump(struct setup *s)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    _cleanup_free_ char *text = doc ? yyjson_write(doc, 0, NULL) : xstrdup("no such device");
    fprintf(stderr, "%s\n%s\n%s\n", text, s->api.log, s->fake.log.p);
    fail_msg("it did not come to that");
}

#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int64_t _begun = clock_monotonic_us();                                                                         \
        while (!(condition)) {                                                                                         \
            usleep(2000);                                                                                              \
            if (clock_monotonic_us() - _begun > PATIENCE_US)                                                           \
                dump(s);                                                                                               \
        }                                                                                                              \
    } while (0)

static void wait_phase(struct setup *s, const char *name, const char *phase)
{
    UNTIL(says(s, name, "status.phase", phase));
}

static void wait_failed(struct setup *s, const char *name, const char *reason)
{
    UNTIL(says(s, name, "status.phase", "Failed") && says(s, name, "status.reason", reason));
}

static void wait_restarts(struct setup *s, const char *name, unsigned n)
{
    UNTIL(number(s, name, "status.restarts") == n && says(s, name, "status.phase", "Running"));
}

static void wait_gone(struct setup *s, const char *name)
{
    UNTIL(says(s, name, "", NULL));
}

static void run_one(struct setup *s)
{
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    wait_phase(s, "ada", "Running");
}

/* A change that no event tells of. */
#define CHANGE(uid, what)                                                                                              \
    do {                                                                                                               \
        LOCK_SCOPE(&s->fake.lock);                                                                                     \
        struct fake_container *k = fake_find(&s->fake, uid);                                                           \
        assert_non_null(k);                                                                                            \
        what;                                                                                                          \
    } while (0)

/* --- the limits -----------------------------------------------------------------------------------------------------
 */

static void test_limits_are_as_documented(void **state)
{
    const struct {
        const char *name;
        unsigned value;
    } rows[] = {
#define ROW(name) {#name, real.name}
        ROW(preparing_seconds),
        ROW(prepared_poll_ms),
        ROW(starting_seconds),
        ROW(turn_seconds),
        ROW(stopping_seconds),
        ROW(stop_grace_seconds),
        ROW(ready_poll_ms),
        ROW(ready_poll_longest_ms),
        ROW(ready_answer_ms),
        ROW(check_seconds),
        ROW(restart_limit),
        ROW(restart_window_seconds),
        ROW(restart_first_ms),
        ROW(retry_first_ms),
        ROW(retry_longest_ms),
        ROW(image_missing_seconds),
        ROW(ask_seconds),
        ROW(ask_answer_ms),
        ROW(ask_again_ms),
        ROW(closed_misses),
        ROW(silent_misses),
        ROW(silent_seconds),
        ROW(gone_grace_ms),
        ROW(disk_full_seconds),
        ROW(image_check_seconds),
        ROW(pull_retry_seconds),
        ROW(pull_retry_longest_seconds),
        ROW(shortage_seconds),
        ROW(storage_first_seconds),
        ROW(storage_seconds),
        ROW(storage_soon_seconds),
        ROW(storage_files_a_second),
        ROW(storage_files_most),
    };
    _cleanup_free_ char *text = read_file(DOCUMENT, 1 << 20, NULL, NULL);

    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *row = xasprintf("\n| `%s` | %u |", rows[i].name, rows[i].value);
        if (strstr(text, row) == NULL)
            fail_msg("%s is not in the table of the documentation: %s", row + 1, DOCUMENT);
    }
    assert_int_equal(real.starts_at_once, 0);
    assert_int_equal(sizeof(struct limits) / sizeof(unsigned), ARRAY_SIZE(rows) + 1);
}

/* --- the way up and down ---------------------------------------------------------------------------------------------
 */

static void test_up_and_down(void **state)
{
    struct setup *s = *state;

    run_one(s);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
    assert_int_equal(api_count(&s->api, "PUT devices/ada/endpoint", 200), 1);
    assert_true(says(s, "ada", "status.message", "it answers"));
    assert_true(condition_is(s, "ada", "Ready", "status", "True"));
    assert_true(condition_is(s, "ada", "Supervised", "status", "True"));
    delete_device(s, "ada");
    wait_gone(s, "ada");
    assert_false(fake_has(&s->fake, "u1"));
    assert_int_equal(fake_count(&s->fake, "remove u1 3"), 1); /* the grace; the one before the start has none */
    assert_int_equal(fake_count(&s->fake, "end u1 0"), 1);
    char **places;
    assert_int_equal(place_list(s->environments, &places), 0);
}

/* When a condition changed is kept until it changes. */
static void test_transition_times(void **state)
{
    struct setup *s = *state;

    put_device(s, "ada", "u1", 1,
               ",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"lastTransitionTime\":\"" PAST
               "\"},{\"type\":\"EngineAvailable\",\"status\":\"True\",\"lastTransitionTime\":\"" PAST
               "\"},{\"type\":\"Another\",\"status\":\"True\",\"lastTransitionTime\":\"" PAST "\"}]");
    run_controller(s);
    wait_phase(s, "ada", "Running");
    assert_false(condition_is(s, "ada", "Ready", "lastTransitionTime", PAST));
    assert_true(condition_is(s, "ada", "EngineAvailable", "lastTransitionTime", PAST));
    assert_true(condition_is(s, "ada", "Another", "status", "True"));
    api_patch(&s->api, "devices", "ada", "{\"status\":{\"conditions\":null}}");
    UNTIL(condition_is(s, "ada", "Ready", "status", "True"));
}

static void test_two_owners_and_one_range(void **state)
{
    struct setup *s = *state;

    run_one(s);
    put_device(s, "bob", "u2", 1, "");
    wait_failed(s, "bob", "HostIdRefused");
    put_device(s, "cleo", "u3", 2, "");
    wait_phase(s, "cleo", "Running");
    assert_true(says(s, "ada", "status.phase", "Running"));
}

/* --- failures that pass
 * ----------------------------------------------------------------------------------------------- */

static void test_a_removal_that_fails_once(void **state)
{
    struct setup *s = *state;
    static const enum reason reasons[] = {REASON_INTERNAL, REASON_SERVICE_UNAVAILABLE, REASON_TIMEOUT};

    run_controller(s);
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        const char *uid = (const char *[]){"u1", "u2", "u3"}[i];
        put_device(s, "ada", uid, 1, "");
        wait_phase(s, "ada", "Running");
        fake_fail(&s->fake, "remove", reasons[i], "busy", 3); /* the first changes the status, whose event is a try */
        delete_device(s, "ada");
        wait_gone(s, "ada");
        assert_false(fake_has(&s->fake, uid));
    }
}

static void test_a_finalizer_that_cannot_be_taken_off_once(void **state)
{
    struct setup *s = *state;
    static const unsigned failures[] = {500, 503, 403};

    run_controller(s);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        put_device(s, "ada", (const char *[]){"u1", "u2", "u3"}[i], 1, "");
        wait_phase(s, "ada", "Running");
        UNTIL(condition_is(s, "ada", "Ready", "status", "True"));
        api_fail(&s->api, "GET", "devices/ada/", failures[i], 1);
        delete_device(s, "ada");
        wait_gone(s, "ada");
        assert_int_equal(api_count(&s->api, "GET devices/ada", failures[i]), 1);
    }
}

static void test_a_patch_of_finalizers_that_fails_once(void **state)
{
    struct setup *s = *state;

    run_one(s);
    UNTIL(api_count(&s->api, "PATCH devices/ada/status", 200) >= 3);
    limits.retry_first_ms = 20;
    delete_device(s, "ada");
    wait_gone(s, "ada");
    put_device(s, "ada", "u2", 1, "");
    wait_phase(s, "ada", "Running");
    /* Status and finalizer both: whichever comes is tried again. */
    api_fail(&s->api, "PATCH", "devices/ada/", 500, 2);
    delete_device(s, "ada");
    wait_gone(s, "ada");
}

static void test_an_endpoint_that_is_not_taken_once(void **state)
{
    struct setup *s = *state;
    static const unsigned failures[] = {500, 503};

    run_controller(s);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        _cleanup_free_ char *uid = xasprintf("u%zu", i);
        api_fail(&s->api, "PUT", "endpoint", failures[i], 4);
        put_device(s, "ada", uid, 1, "");
        UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == i + 1);
        assert_int_equal(api_count(&s->api, "PUT devices/ada/endpoint", failures[i]), 4);
        wait_phase(s, "ada", "Running");
        delete_device(s, "ada");
        wait_gone(s, "ada");
    }
}

static void test_a_status_that_cannot_be_written_once(void **state)
{
    struct setup *s = *state;

    api_fail(&s->api, "PATCH", "ada/status", 500, 2);
    run_one(s);
    api_fail(&s->api, "PATCH", "ada/status", 503, 2);
    CHANGE("u1", k->paused = true);
    fake_event(&s->fake, "ada");
    UNTIL(condition_is(s, "ada", "Ready", "reason", "Paused"));
    assert_int_equal(api_count(&s->api, "PATCH devices/ada/status", 503), 2);
}

static void test_a_server_that_is_connected_anew_is_told_the_endpoint(void **state)
{
    struct setup *s = *state;

    run_one(s);
    {
        LOCK_SCOPE(&s->api.lock);
        for (size_t i = 0; i < s->api.watches_len; i++) {
            close(s->api.watches[i].fd);
            free(s->api.watches[i].plural);
        }
        s->api.watches_len = 0;
    }
    UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == 2);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
}

static void test_a_start_that_fails_once(void **state)
{
    struct setup *s = *state;

    fake_fail(&s->fake, "ensure", REASON_INTERNAL, "no luck", 2);
    fake_fail(&s->fake, "image", REASON_TIMEOUT, "slow", 1);
    run_one(s);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 3);
    assert_int_equal(fake_count(&s->fake, "image localhost/i"), 4);
}

static void test_a_start_that_is_refused(void **state)
{
    struct setup *s = *state;

    fake_fail(&s->fake, "ensure", REASON_INVALID, "such a thing cannot be", 1);
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    wait_failed(s, "ada", "EngineRefused");
    fake_fail(&s->fake, "ensure", REASON_INVALID, "write: no space left on device", 3);
    put_device(s, "bob", "u2", 2, "");
    UNTIL(says(s, "bob", "status.reason", "DiskFull") || says(s, "bob", "status.phase", "Running"));
    wait_phase(s, "bob", "Running");
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1); /* for good */
    assert_int_equal(fake_count(&s->fake, "ensure u2"), 4);
}

/* Nothing tells of an image that comes. */
static void test_an_image_is_looked_for_again(void **state)
{
    struct setup *s = *state;

    s->fake.image = false;
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    wait_failed(s, "ada", "ImageMissing");
    UNTIL(fake_count(&s->fake, "look localhost/i") >= 2);
    {
        LOCK_SCOPE(&s->fake.lock);
        s->fake.image = true;
    }
    wait_phase(s, "ada", "Running");
}

/* --- images --------------------------------------------------------------------------------------------------------
 */

static void let_pulls_come(struct setup *s, unsigned percent)
{
    LOCK_SCOPE(&s->fake.lock);
    s->fake.pull_percent = percent;
}

static bool sandbox_says(struct setup *s, const char *name, const char *path, const char *value)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "sandboxes", name);
    return same_text(json_str_at(yyjson_doc_get_root(doc), path), value);
}

static bool image_says(struct setup *s, const char *name, size_t at, const char *key, const char *value)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "sandboxes", name);
    yyjson_val *one = yyjson_arr_get(json_at(yyjson_doc_get_root(doc), "status.images"), at);
    return streq(json_str_at(one, key), value);
}

static bool has(struct setup *s, const char *plural, const char *name, const char *path, const char *part)
{
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, plural, name);
    const char *text = json_str_at(yyjson_doc_get_root(doc), path);
    return text && strstr(text, part);
}

static bool sandbox_has(struct setup *s, const char *name, const char *path, const char *part)
{
    return has(s, "sandboxes", name, path, part);
}

static bool message_has(struct setup *s, const char *plural, const char *name, const char *part)
{
    return has(s, plural, name, "status.message", part);
}

/* From the moment a sandbox names it; who waits for it has no deadline meanwhile, and no turn. */
static void test_an_image_is_pulled(void **state)
{
    struct setup *s = *state;

    limits.preparing_seconds = 1;
    s->fake.image = false;
    let_pulls_come(s, 30);
    put_sandbox_of(s, "far", "r.example/far:1", 1, "");
    run_controller(s);
    UNTIL(sandbox_says(s, "far", "status.phase", "Pulling"));
    UNTIL(sandbox_has(s, "far", "status.progress", "30 % of 1.0 KiB"));
    assert_true(sandbox_has(s, "far", "status.progress", "0 of 2 layers"));
    put_sandbox_of(s, "far", "r.example/far:1", 1, ""); /* as an administrator's hand would: the status is gone */
    put_owned_of(s, "ada", "u1", 1, "ada", "far", "");
    UNTIL(says(s, "ada", "status.reason", "ImagePulling"));
    UNTIL(message_has(s, "devices", "ada", "image r.example/far:1 is being pulled: 30 % of 1.0 KiB"));
    assert_true(says(s, "ada", "status.phase", "Preparing"));
    let_pulls_come(s, 60);
    UNTIL(message_has(s, "devices", "ada", "60 %"));
    let_pulls_come(s, 100);
    wait_phase(s, "ada", "Running");
    UNTIL(sandbox_says(s, "far", "status.phase", "Ready"));
    assert_true(sandbox_says(s, "far", "status.progress", NULL));
    assert_true(image_says(s, "far", 0, "reference", "r.example/far:1"));
    assert_true(image_says(s, "far", 0, "digest", "sha256:r.example/far:1-1"));
    assert_int_equal(fake_count(&s->fake, "pull r.example/far:1 - done"), 1);
}

static void test_a_pull_that_fails(void **state)
{
    struct setup *s = *state;

    s->fake.image = false;
    limits.pull_retry_seconds = limits.pull_retry_longest_seconds = 6;
    fake_fail(&s->fake, "pull", REASON_INVALID, "manifest unknown", 1);
    put_sandbox_of(s, "far", "r.example/far:1", 1, "");
    put_owned_of(s, "ada", "u1", 1, "ada", "far", "");
    run_controller(s);
    wait_failed(s, "ada", "ImagePullFailed");
    assert_true(message_has(s, "devices", "ada", "image r.example/far:1: manifest unknown"));
    UNTIL(sandbox_says(s, "far", "status.phase", "Failed"));
    assert_true(image_says(s, "far", 0, "reason", "ImagePullFailed"));
    assert_true(message_has(s, "sandboxes", "far", "manifest unknown"));
    wait_phase(s, "ada", "Running"); /* by itself */
    UNTIL(sandbox_says(s, "far", "status.message", NULL));
}

static void test_a_pull_that_goes_on_failing_is_tried_more_rarely(void **state)
{
    struct setup *s = *state;

    s->fake.image = false;
    limits.pull_retry_longest_seconds = 3600;
    fake_fail(&s->fake, "pull", REASON_INVALID, "manifest unknown", 1000);
    put_sandbox_of(s, "far", "r.example/far:1", 1, "");
    run_controller(s);
    UNTIL(message_has(s, "sandboxes", "far", "tried again after 4 s"));
}

/* Its pull secret, perhaps. */
static void test_a_sandbox_that_says_something_else_is_pulled_at_once(void **state)
{
    struct setup *s = *state;

    s->fake.image = false;
    limits.pull_retry_seconds = limits.pull_retry_longest_seconds = 3600;
    fake_fail(&s->fake, "pull", REASON_INVALID, "unauthorized", 1);
    put_sandbox_of(s, "far", "r.example/far:1", 1, "");
    run_controller(s);
    UNTIL(message_has(s, "sandboxes", "far", "tried again after 3600 s"));
    put_sandbox_of(s, "far", "r.example/far:1", 2, "");
    UNTIL(sandbox_says(s, "far", "status.phase", "Ready"));
}

static void test_what_is_not_to_be_pulled(void **state)
{
    struct setup *s = *state;
    char *only[] = {(char *)"r.example/*", NULL};

    s->config->allowed_images = only;
    s->fake.image = false;
    put_sandbox_of(s, "local", "localhost/far:1", 1, ",\"imagePullPolicy\":\"Always\"");
    put_sandbox_of(s, "never", "r.example/far:1", 1, ",\"imagePullPolicy\":\"Never\"");
    put_sandbox_of(s, "refused", "s.example/far:1", 1, "");
    run_controller(s);
    UNTIL(image_says(s, "local", 0, "reason", "ImageMissing"));
    UNTIL(image_says(s, "never", 0, "reason", "ImageMissing"));
    UNTIL(image_says(s, "refused", 0, "reason", "ImageRefused"));
    assert_false(fake_heard(&s->fake, "pull "));
    /* Another sandbox wants it. */
    put_sandbox_of(s, "wants", "r.example/far:1", 1, "");
    UNTIL(image_says(s, "never", 0, "phase", "Ready"));
    assert_true(fake_heard(&s->fake, "pull r.example/far:1 "));
    stop_controller(s);
    s->config->allowed_images = NULL;
}

/* What runs keeps its image, and says that there is a newer one; the next environment gets that. */
static void test_an_image_is_replaced(void **state)
{
    struct setup *s = *state;

    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    wait_phase(s, "ada", "Running");
    UNTIL(condition_is(s, "ada", "ImageUpToDate", "status", "True"));
    {
        LOCK_SCOPE(&s->fake.lock);
        s->fake.image = false;
        s->fake.pull_percent = 50;
    }
    put_sandbox_of(s, "plain", "r.example/new:1", 2, "");
    UNTIL(sandbox_says(s, "plain", "status.phase", "Pulling"));
    assert_true(condition_is(s, "ada", "ImageUpToDate", "status", "True")); /* not yet */
    let_pulls_come(s, 100);
    UNTIL(condition_is(s, "ada", "ImageUpToDate", "status", "False"));
    assert_true(condition_is(s, "ada", "ImageUpToDate", "reason", "NewerImage"));
    put_device(s, "bob", "u2", 2, "");
    wait_phase(s, "bob", "Running");
    UNTIL(condition_is(s, "bob", "ImageUpToDate", "status", "True"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
    LOCK_SCOPE(&s->fake.lock);
    assert_string_equal(fake_find(&s->fake, "u1")->image, "sha256:localhost/i-0");
    assert_string_equal(fake_find(&s->fake, "u2")->image, "sha256:r.example/new:1-1");
}

static void test_a_pull_that_nobody_wants_any_more(void **state)
{
    struct setup *s = *state;

    s->fake.image = false;
    let_pulls_come(s, 10);
    put_sandbox_of(s, "far", "r.example/wrong:1", 1, "");
    run_controller(s);
    UNTIL(sandbox_says(s, "far", "status.phase", "Pulling"));
    put_sandbox_of(s, "far", "r.example/right:1", 2, "");
    UNTIL(fake_count(&s->fake, "pull r.example/wrong:1 given up") == 1);
    let_pulls_come(s, 100);
    UNTIL(sandbox_says(s, "far", "status.phase", "Ready"));
    assert_true(image_says(s, "far", 0, "reference", "r.example/right:1"));
    assert_int_equal(fake_count(&s->fake, "pull r.example/wrong:1 - done"), 0);
}

/* A registry that has a newer one is asked again; what is here is used meanwhile, and when it cannot be asked. */
static void test_always_asks_again(void **state)
{
    struct setup *s = *state;

    limits.image_check_seconds = 1;
    let_pulls_come(s, 20);
    put_sandbox_of(s, "far", "r.example/far:1", 1, ",\"imagePullPolicy\":\"Always\"");
    put_owned_of(s, "ada", "u1", 1, "ada", "far", "");
    run_controller(s);
    wait_phase(s, "ada", "Running");
    UNTIL(sandbox_has(s, "far", "status.progress", "20 % of 1.0 KiB"));
    assert_true(sandbox_says(s, "far", "status.phase", "Ready"));
    let_pulls_come(s, 100);
    UNTIL(condition_is(s, "ada", "ImageUpToDate", "status", "False"));
    UNTIL(fake_count(&s->fake, "pull r.example/far:1 - done") >= 2);
    fake_fail(&s->fake, "pull", REASON_INVALID, "registry away", 1000);
    UNTIL(message_has(s, "sandboxes", "far", "registry away"));
    assert_true(sandbox_says(s, "far", "status.phase", "Ready"));
}

static void test_images_of_gpus(void **state)
{
    struct setup *s = *state;

    put_sandbox_of(s, "plain", "localhost/i", 2, ",\"gpuImageSet\":{\"nvidia.com/gpu\":\"r.example/gpu:1\"}");
    put_device(s, "ada", "u1", 1, "");
    api_patch(&s->api, "devices", "ada", "{\"spec\":{\"deviceGpu\":1,\"gpuDriver\":\"nvidia.com/gpu\"}}");
    put_device(s, "bob", "u2", 2, "");
    run_controller(s);
    wait_phase(s, "ada", "Running");
    wait_phase(s, "bob", "Running");
    UNTIL(image_says(s, "plain", 1, "phase", "Ready"));
    assert_true(image_says(s, "plain", 1, "resource", "nvidia.com/gpu"));
    LOCK_SCOPE(&s->fake.lock);
    assert_string_equal(fake_find(&s->fake, "u1")->image, "sha256:r.example/gpu:1-0");
    assert_string_equal(fake_find(&s->fake, "u2")->image, "sha256:localhost/i-0");
}

static void test_a_sandbox_that_comes(void **state)
{
    struct setup *s = *state;

    api_remove(&s->api, "sandboxes", "plain");
    /* As a runner before this one left it. */
    put_device(s, "ada", "u1", 1, ",\"phase\":\"Failed\",\"reason\":\"SandboxMissing\"");
    put_device(s, "bob", "u2", 2, ",\"phase\":\"Failed\",\"reason\":\"StartTimeout\"");
    put_device(s, "cleo", "u3", 3, ",\"phase\":\"Failed\",\"reason\":\"ImageMissing\"");
    run_controller(s);
    put_sandbox(s, "plain");
    wait_phase(s, "ada", "Running");
    wait_phase(s, "cleo", "Running");
    assert_true(says(s, "bob", "status.phase", "Failed"));
    assert_int_equal(fake_count(&s->fake, "ensure u2"), 0);
}

/* --- the engine goes and comes
 * ------------------------------------------------------------------------------------------ */

static void test_a_failed_one_is_cleared_away_in_the_end(void **state)
{
    struct setup *s = *state;

    limits.starting_seconds = 1;
    s->fake.mute = true;
    s->fake.after_ensure = (struct fake_failure){"remove", REASON_SERVICE_UNAVAILABLE, "away", 2};
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    wait_failed(s, "ada", "StartTimeout");
    UNTIL(!fake_has(&s->fake, "u1"));
    UNTIL(fake_count(&s->fake, "remove u1 3") >= 3);
    assert_true(says(s, "ada", "status.phase", "Failed"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 2); /* in safe mode too */
}

static void test_an_engine_that_is_away_is_said(void **state)
{
    struct setup *s = *state;

    run_one(s);
    fake_available(&s->fake, false);
    UNTIL(condition_is(s, "ada", "EngineAvailable", "status", "False"));
    assert_true(says(s, "ada", "status.phase", "Running"));
    put_device(s, "bob", "u2", 2, "");
    UNTIL(says(s, "bob", "status.reason", "EngineUnavailable"));
    fake_available(&s->fake, true);
    wait_phase(s, "bob", "Running");
    UNTIL(condition_is(s, "ada", "EngineAvailable", "status", "True"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
}

static void test_an_engine_that_cannot_say_changes_nothing(void **state)
{
    struct setup *s = *state;

    run_one(s);
    unsigned before = fake_count(&s->fake, "inspect u1");
    fake_fail(&s->fake, "inspect", REASON_INTERNAL, "no luck", 2);
    fake_event(&s->fake, "ada");
    UNTIL(fake_count(&s->fake, "inspect u1") >= before + 3);
    assert_true(says(s, "ada", "status.phase", "Running"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
}

/* What happened meanwhile, no event has told. */
static void test_an_engine_that_comes_back_is_asked(void **state)
{
    struct setup *s = *state;

    run_one(s);
    fake_available(&s->fake, false);
    UNTIL(condition_is(s, "ada", "EngineAvailable", "status", "False"));
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
    fake_available(&s->fake, true);
    wait_restarts(s, "ada", 1);
}

static void test_orphans_go_when_the_engine_comes_back(void **state)
{
    struct setup *s = *state;

    limits.check_seconds = 3600;
    run_one(s);
    controller_tick(s->controller);
    {
        LOCK_SCOPE(&s->fake.lock);
        fake_add(&s->fake, "orphan", "ghost");
    }
    controller_tick(s->controller); /* not yet due */
    assert_true(fake_has(&s->fake, "orphan"));
    fake_available(&s->fake, false);
    controller_tick(s->controller); /* nobody could be asked */
    assert_true(fake_has(&s->fake, "orphan"));
    fake_available(&s->fake, true);
    controller_tick(s->controller);
    assert_false(fake_has(&s->fake, "orphan"));
    assert_true(fake_has(&s->fake, "u1"));
}

static void test_the_slow_timer_looks(void **state)
{
    struct setup *s = *state;

    run_one(s);
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
    controller_tick(s->controller);
    wait_restarts(s, "ada", 1);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 2);
}

static void test_what_is_adopted(void **state)
{
    struct setup *s = *state;

    run_one(s);
    _cleanup_json_ yyjson_doc *before = api_get(&s->api, "devices", "ada");
    stop_controller(s);
    assert_true(fake_has(&s->fake, "u1"));
    run_controller(s);
    UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == 2);
    controller_tick(s->controller);
    assert_true(says(s, "ada", "status.startedAt", json_str_at(yyjson_doc_get_root(before), "status.startedAt")));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
    delete_device(s, "ada");
    wait_gone(s, "ada");
}

/* --- ends
 * ----------------------------------------------------------------------------------------------------------------- */

static void test_it_is_given_up_after_three_restarts(void **state)
{
    struct setup *s = *state;

    run_one(s);
    for (unsigned i = 1; i <= 3; i++) {
        CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
        fake_event(&s->fake, "ada");
        wait_restarts(s, "ada", i);
    }
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->out_of_memory = true));
    fake_event(&s->fake, "ada");
    wait_failed(s, "ada", "OutOfMemory");
    assert_true(condition_is(s, "ada", "OutOfMemory", "status", "True"));
    assert_true(condition_is(s, "ada", "OutOfMemory", "reason", "KilledForMemory"));
    assert_int_equal(number(s, "ada", "status.restarts"), 3);
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    yyjson_val *log = json_at(yyjson_doc_get_root(doc), "status.log");
    assert_string_equal(yyjson_get_str(yyjson_arr_get_first(log)), "last words");
    assert_false(fake_has(&s->fake, "u1"));
    assert_int_equal(fake_count(&s->fake, "safe u1"), 0); /* each time it had answered before */
}

/* --- safe mode
 * ---------------------------------------------------------------------------------------------------------- */

/* It ends before it has answered. */
static void fail_start(struct setup *s, const char *words, int exit_code)
{
    {
        LOCK_SCOPE(&s->fake.lock);
        s->fake.mute = true;
        s->fake.words = words;
    }
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    UNTIL(fake_has(&s->fake, "u1") && says(s, "ada", "status.phase", "Starting"));
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = exit_code, s->fake.mute = false));
    fake_event(&s->fake, "ada");
}

static void test_a_start_that_fails_is_tried_in_safe_mode(void **state)
{
    struct setup *s = *state;

    fail_start(s, "File x\nOSError: [Errno 28] No space left on device\n", 1);
    wait_restarts(s, "ada", 1);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 2);
    assert_int_equal(fake_count(&s->fake, "safe u1"), 1);
    assert_true(condition_is(s, "ada", "SafeMode", "status", "True"));
    assert_true(condition_is(s, "ada", "SafeMode", "reason", "HomeFull"));
    _cleanup_json_ yyjson_doc *doc = api_get(&s->api, "devices", "ada");
    const char *message = json_str_at(condition(yyjson_doc_get_root(doc), "SafeMode"), "message");
    assert_non_null(strstr(message, "no room left"));
    assert_non_null(strstr(message, "exit code 1"));
    /* It stays so when it is started again, by the next runner too. */
    stop_controller(s);
    unsigned told = api_count(&s->api, "PUT devices/ada/endpoint", 200);
    run_controller(s);
    UNTIL(api_count(&s->api, "PUT devices/ada/endpoint", 200) == told + 1); /* adopted */
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
    fake_event(&s->fake, "ada");
    wait_restarts(s, "ada", 2);
    assert_int_equal(fake_count(&s->fake, "safe u1"), 2);
    assert_true(condition_is(s, "ada", "SafeMode", "reason", "HomeFull"));
}

static void test_a_start_that_fails_in_safe_mode_too(void **state)
{
    struct setup *s = *state;

    fail_start(s, NULL, 7);
    for (unsigned i = 1; i <= 3; i++) {
        wait_restarts(s, "ada", i);
        CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
        fake_event(&s->fake, "ada");
    }
    wait_failed(s, "ada", "Ended");
    assert_int_equal(fake_count(&s->fake, "safe u1"), 3);
    assert_true(condition_is(s, "ada", "SafeMode", "reason", "StartFailed"));
}

static void test_safe_mode_does_not_help_against_memory(void **state)
{
    struct setup *s = *state;

    {
        LOCK_SCOPE(&s->fake.lock);
        s->fake.mute = true;
    }
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    UNTIL(fake_has(&s->fake, "u1") && says(s, "ada", "status.phase", "Starting"));
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->out_of_memory = true, s->fake.mute = false));
    fake_event(&s->fake, "ada");
    wait_restarts(s, "ada", 1);
    assert_int_equal(fake_count(&s->fake, "safe u1"), 0);
    assert_false(condition_is(s, "ada", "SafeMode", "status", "True"));
}

static void test_what_never_answers_is_tried_in_safe_mode(void **state)
{
    struct setup *s = *state;

    limits.starting_seconds = 1;
    s->fake.mute = true;
    put_device(s, "ada", "u1", 1, "");
    run_controller(s);
    UNTIL(fake_count(&s->fake, "ensure u1") == 1);
    CHANGE("u1", s->fake.mute = false);
    wait_restarts(s, "ada", 1);
    assert_int_equal(fake_count(&s->fake, "safe u1"), 1);
    assert_true(condition_is(s, "ada", "SafeMode", "reason", "StartFailed"));
}

static void test_safe_mode_is_asked_for(void **state)
{
    struct setup *s = *state;

    put_device(s, "ada", "u1", 1, "");
    api_patch(&s->api, "devices", "ada", "{\"spec\":{\"safeMode\":true}}");
    run_controller(s);
    wait_phase(s, "ada", "Running");
    assert_int_equal(fake_count(&s->fake, "safe u1"), 1);
    assert_true(condition_is(s, "ada", "SafeMode", "reason", "Asked"));
}

/* Three in a month are no reason to give up. */
static void test_restarts_are_counted_within_a_window(void **state)
{
    struct environment e = {0};
    int64_t now = INT64_C(5000) * 1000000, window = (int64_t)real.restart_window_seconds * 1000000;

    for (unsigned i = 0; i < real.restart_limit; i++) {
        assert_true(environment_may_restart(&e, now + i));
        environment_count_restart(&e, now + i);
    }
    assert_false(environment_may_restart(&e, now + real.restart_limit));
    assert_false(environment_may_restart(&e, now + window));
    assert_true(environment_may_restart(&e, now + window + 1));
    environment_count_restart(&e, now + window + 1);
    assert_int_equal(e.restarts, real.restart_limit + 1);
    assert_int_equal(e.restarts_in_window, 1);
    /* The window begins with its first, whatever came before. */
    assert_true(environment_may_restart(&e, now + 2 * window + 1));
    assert_int_equal(e.restarts_in_window, 1);
}

static void test_what_was_removed_from_outside(void **state)
{
    struct setup *s = *state;

    run_one(s);
    CHANGE("u1", k->there = false; answerer_end(&k->answerer); k->listening = false);
    fake_event(&s->fake, "ada");
    wait_restarts(s, "ada", 1);
}

/* --- alive, for as long as it runs
 * ------------------------------------------------------------------------------------------ */

static void test_nobody_listens_any_more(void **state)
{
    struct setup *s = *state;

    run_one(s);
    CHANGE("u1", (answerer_end(&k->answerer), k->listening = false));
    wait_restarts(s, "ada", 1);
    assert_true(condition_is(s, "ada", "Ready", "status", "True"));
}

static void test_silence_is_said_and_passes(void **state)
{
    struct setup *s = *state;

    run_one(s);
    CHANGE("u1", atomic_store(&k->answerer.status, 0));
    UNTIL(condition_is(s, "ada", "Ready", "reason", "NotAnswering"));
    assert_true(condition_is(s, "ada", "Ready", "status", "False"));
    assert_true(says(s, "ada", "status.phase", "Running") && says(s, "ada", "status.reason", "NotAnswering"));
    CHANGE("u1", atomic_store(&k->answerer.status, 502));
    UNTIL(condition_is(s, "ada", "Ready", "reason", "AnswersWithErrors"));
    CHANGE("u1", atomic_store(&k->answerer.status, 200));
    UNTIL(condition_is(s, "ada", "Ready", "status", "True"));
    assert_true(says(s, "ada", "status.reason", "Running"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
}

static void test_long_silence_is_ended(void **state)
{
    struct setup *s = *state;

    limits.silent_seconds = 2;
    run_one(s);
    put_device(s, "bob", "u2", 2, "");
    wait_phase(s, "bob", "Running");
    CHANGE("u2", (k->paused = true, atomic_store(&k->answerer.status, 0)));
    fake_event(&s->fake, "bob");
    UNTIL(condition_is(s, "bob", "Ready", "reason", "Paused"));
    CHANGE("u1", atomic_store(&k->answerer.status, 0));
    UNTIL((controller_tick(s->controller), number(s, "ada", "status.restarts") == 1));
    wait_phase(s, "ada", "Running");
    /* Whoever paused it knows why. */
    assert_int_equal(number(s, "bob", "status.restarts"), 0);
    CHANGE("u2", (k->paused = false, atomic_store(&k->answerer.status, 200)));
    fake_event(&s->fake, "bob");
    UNTIL(condition_is(s, "bob", "Ready", "status", "True"));
    assert_int_equal(number(s, "bob", "status.restarts"), 0);
}

/* When what is silent now has been so for too long. */
static int64_t much_later(void)
{
    return clock_monotonic_us() + 2 * INT64_C(1000000) * limits.silent_seconds;
}

static bool will_be_too_silent(struct setup *s, const char *name)
{
    struct environments *es = controller_environments(s->controller);
    struct pulse p = pulses_of(es->pulses, name);

    return environment_silent_too_long(environment_find(es, name), &p, much_later());
}

/* Where most are silent, it is the machine. */
static void test_a_class_is_not_ended_for_a_slow_machine(void **state)
{
    struct setup *s = *state;
    static const char *const names[] = {"ada", "bob", "cleo", "dora"};

    run_controller(s);
    struct environments *es = controller_environments(s->controller);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        put_device(s, names[i], names[i], i + 1, "");
        wait_phase(s, names[i], "Running");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        CHANGE(names[i], atomic_store(&k->answerer.status, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        UNTIL(condition_is(s, names[i], "Ready", "reason", "NotAnswering"));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(environment_lives(es, environment_find(es, names[i]), much_later()));
    /* Half of them is not most. */
    for (unsigned i = 2; i < ARRAY_SIZE(names); i++)
        CHANGE(names[i], atomic_store(&k->answerer.status, 200));
    for (unsigned i = 2; i < ARRAY_SIZE(names); i++)
        UNTIL(condition_is(s, names[i], "Ready", "status", "True"));
    assert_true(will_be_too_silent(s, "ada") && will_be_too_silent(s, "bob"));
    assert_false(will_be_too_silent(s, "cleo") || will_be_too_silent(s, "dora"));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(number(s, names[i], "status.restarts"), 0);
}

static pid_t sleeper(uid_t uid)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (setresuid(uid, uid, uid) < 0)
            _exit(1);
        pause();
        _exit(0);
    }
    /* Until it has its user. */
    for (unsigned i = 0; i < 5000; i++) {
        struct stat st;
        _cleanup_free_ char *path = xasprintf("/proc/%d", (int)pid);
        if (stat(path, &st) == 0 && st.st_uid == uid)
            break;
        usleep(1000);
    }
    return pid;
}

/* The engine says «running» for ever: its own watcher died as well. */
static void test_a_process_that_is_gone(void **state)
{
    struct setup *s = *state;

    run_one(s);
    pid_t pid = sleeper(s->config->host_id_base + s->config->host_id_size + 1000);
    CHANGE("u1", (k->pid = pid, k->unsupervised = true));
    fake_event(&s->fake, "ada");
    UNTIL(condition_is(s, "ada", "Supervised", "status", "False"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    wait_restarts(s, "ada", 1);
    UNTIL(condition_is(s, "ada", "Supervised", "status", "True"));
}

static void test_the_engine_may_say_it_first(void **state)
{
    struct setup *s = *state;

    limits.gone_grace_ms = 600000;
    run_one(s);
    pid_t pid = sleeper(s->config->host_id_base + s->config->host_id_size + 1000);
    CHANGE("u1", k->pid = pid);
    fake_event(&s->fake, "ada");
    unsigned before = fake_count(&s->fake, "inspect u1");
    UNTIL(fake_count(&s->fake, "inspect u1") > 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    UNTIL(fake_count(&s->fake, "inspect u1") > before);
    assert_int_equal(number(s, "ada", "status.restarts"), 0);
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 9));
    fake_event(&s->fake, "ada");
    wait_restarts(s, "ada", 1);
}

/* --- names, and what a server says
 * --------------------------------------------------------------------------------------------- */

/* The old container is not taken for the new device's: it may be another user's. */
static void test_a_new_device_of_the_name(void **state)
{
    struct setup *s = *state;

    run_one(s);
    api_remove(&s->api, "devices", "ada");
    put_owned(s, "ada", "u2", 2, "bob", "");
    UNTIL(fake_has(&s->fake, "u2") && !fake_has(&s->fake, "u1"));
    wait_phase(s, "ada", "Running");
    assert_true(fake_has(&s->fake, "u2"));
    assert_int_equal(fake_count(&s->fake, "ensure u2"), 1);
}

/* In one step, as a client sees it that was away. */
static void test_a_device_that_was_replaced_unseen(void **state)
{
    struct setup *s = *state;

    run_one(s);
    put_owned(s, "ada", "u2", 2, "bob", "");
    UNTIL(fake_has(&s->fake, "u2") && !fake_has(&s->fake, "u1"));
    wait_phase(s, "ada", "Running");
    stop_controller(s);
    put_owned(s, "ada", "u3", 3, "cleo", ",\"phase\":\"Running\"");
    run_controller(s);
    UNTIL(fake_has(&s->fake, "u3"));
    controller_tick(s->controller);
    assert_false(fake_has(&s->fake, "u2"));
    wait_phase(s, "ada", "Running");
}

static void test_a_removal_fails_when_the_device_was_replaced(void **state)
{
    struct setup *s = *state;

    run_one(s);
    fake_fail(&s->fake, "remove", REASON_INTERNAL, "busy", 2);
    put_device(s, "ada", "u2", 1, "");
    UNTIL(fake_has(&s->fake, "u2") && !fake_has(&s->fake, "u1"));
    fake_fail(&s->fake, "remove", REASON_INTERNAL, "busy", 2);
    api_remove(&s->api, "devices", "ada");
    UNTIL(!fake_has(&s->fake, "u2"));
}

static void test_an_object_without_a_uid_deletes_nothing(void **state)
{
    struct setup *s = *state;

    run_one(s);
    api_patch(&s->api, "devices", "ada", "{\"metadata\":{\"uid\":null}}");
    put_device(s, "bob", "u2", 2, "");
    wait_phase(s, "bob", "Running");
    controller_tick(s->controller);
    assert_true(fake_has(&s->fake, "u1"));
    api_patch(&s->api, "devices", "ada", "{\"metadata\":{\"uid\":\"../x\"}}");
    put_device(s, "cleo", "u3", 3, "");
    wait_phase(s, "cleo", "Running");
    assert_true(fake_has(&s->fake, "u1"));
}

static void test_an_older_store_deletes_nothing(void **state)
{
    struct setup *s = *state;

    run_one(s);
    {
        LOCK_SCOPE(&s->fake.lock);
        fake_add(&s->fake, "later", "zoe")->revision = 1000; /* of which this runner knows nothing */
        fake_add(&s->fake, "unknown", "yan");                /* without a label: from an older version */
    }
    api_restore(&s->api, 11);
    put_device(s, "bob", "u2", 2, "");
    wait_phase(s, "bob", "Running");
    controller_tick(s->controller);
    assert_true(fake_has(&s->fake, "u1") && fake_has(&s->fake, "later"));
    assert_false(fake_has(&s->fake, "unknown"));
    {
        LOCK_SCOPE(&s->api.lock);
        s->api.revision = 5000; /* it comes to where it was, and further */
    }
    put_device(s, "cleo", "u3", 3, "");
    wait_phase(s, "cleo", "Running");
    controller_tick(s->controller);
    assert_true(fake_has(&s->fake, "u1") && fake_has(&s->fake, "later"));
    put_device(s, "ada", "u9", 1, ""); /* its owner starts anew */
    UNTIL(fake_has(&s->fake, "u9") && !fake_has(&s->fake, "u1"));
}

/* A store that has gone on and does not know a container says that it was deleted. */
static void test_an_orphan_of_an_earlier_revision_goes(void **state)
{
    struct setup *s = *state;

    run_one(s);
    {
        LOCK_SCOPE(&s->fake.lock);
        fake_add(&s->fake, "orphan", "zoe")->revision = 5;
    }
    controller_tick(s->controller);
    assert_false(fake_has(&s->fake, "orphan"));
}

/* A store that has gone on, whose list leaves the device out, as it was set aside; and then it is deleted. */
static void test_a_device_that_is_set_aside_ends_nothing(void **state)
{
    struct setup *s = *state;

    limits.check_seconds = 1;
    run_one(s);
    api_fail(&s->api, "GET", "devices/ada/", 500, 2);
    api_fail(&s->api, "GET", "devices//watch=true", 410, 1); /* so that it lists anew */
    api_restore(&s->api, 5000);
    UNTIL(api_count(&s->api, "GET devices/ada", 500) == 1);
    put_device(s, "bob", "u2", 2, "");
    wait_phase(s, "bob", "Running");
    assert_true(fake_has(&s->fake, "u1"));
    UNTIL(!fake_has(&s->fake, "u1"));
    assert_int_equal(api_count(&s->api, "GET devices/ada", 500), 2); /* each time it was asked */
    assert_true(fake_has(&s->fake, "u2"));
}

/* The same, met by a runner that begins; a server that says nothing ends nothing either. */
static void test_an_orphan_that_is_set_aside_stays(void **state)
{
    struct setup *s = *state;

    limits.check_seconds = 3600;
    run_one(s);
    {
        LOCK_SCOPE(&s->fake.lock);
        fake_add(&s->fake, "aside", "zoe")->revision = 5;
        fake_add(&s->fake, "orphan", "yan")->revision = 5;
        fake_add(&s->fake, "nameless", "../yan")->revision = 5;
    }
    api_fail(&s->api, "GET", "devices/zoe/", 500, 1);
    api_fail(&s->api, "GET", "devices/zoe/", 503, 1);
    api_fail(&s->api, "GET", "devices/zoe/", 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        fake_available(&s->fake, true); /* at which it is swept, an hour early */
        controller_tick(s->controller);
        assert_true(fake_has(&s->fake, "aside"));
    }
    assert_false(fake_has(&s->fake, "orphan") || fake_has(&s->fake, "nameless"));
    assert_int_equal(fake_count(&s->fake, "remove aside 3"), 0);
    put_device(s, "zoe", "u7", 7, ",\"phase\":\"Failed\"");
    api_remove(&s->api, "devices", "zoe"); /* at which it is looked again, an hour early */
    UNTIL((controller_tick(s->controller), !fake_has(&s->fake, "aside")));
    assert_true(fake_has(&s->fake, "u1"));
}

/* What ended for want of room would use up its restarts, and be given up; it waits as a new one does. */
static void test_what_ended_on_a_full_disk_waits(void **state)
{
    struct setup *s = *state;

    assert_true(small_disk_mount(s->config->data, 4));
    run_one(s);
    small_disk_fill(s->config->data);
    CHANGE("u1", (k->state = INSTANCE_ENDED, k->exit_code = 7));
    fake_event(&s->fake, "ada");
    UNTIL(says(s, "ada", "status.reason", "DiskFull"));
    assert_true(says(s, "ada", "status.phase", "Queued"));
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 1);
    small_disk_empty(s->config->data);
    wait_restarts(s, "ada", 1);
    assert_int_equal(fake_count(&s->fake, "ensure u1"), 2);
    stop_controller(s);
    small_disk_umount(s->config->data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_up_and_down),
        TEST(test_transition_times),
        TEST(test_two_owners_and_one_range),
        TEST(test_a_removal_that_fails_once),
        TEST(test_a_finalizer_that_cannot_be_taken_off_once),
        TEST(test_a_patch_of_finalizers_that_fails_once),
        TEST(test_an_endpoint_that_is_not_taken_once),
        TEST(test_a_status_that_cannot_be_written_once),
        TEST(test_a_server_that_is_connected_anew_is_told_the_endpoint),
        TEST(test_a_start_that_fails_once),
        TEST(test_a_start_that_is_refused),
        TEST(test_an_image_is_looked_for_again),
        TEST(test_an_image_is_pulled),
        TEST(test_a_pull_that_fails),
        TEST(test_a_pull_that_goes_on_failing_is_tried_more_rarely),
        TEST(test_a_sandbox_that_says_something_else_is_pulled_at_once),
        TEST(test_what_is_not_to_be_pulled),
        TEST(test_an_image_is_replaced),
        TEST(test_a_pull_that_nobody_wants_any_more),
        TEST(test_always_asks_again),
        TEST(test_images_of_gpus),
        TEST(test_a_sandbox_that_comes),
        TEST(test_a_failed_one_is_cleared_away_in_the_end),
        TEST(test_an_engine_that_is_away_is_said),
        TEST(test_an_engine_that_cannot_say_changes_nothing),
        TEST(test_an_engine_that_comes_back_is_asked),
        TEST(test_orphans_go_when_the_engine_comes_back),
        TEST(test_the_slow_timer_looks),
        TEST(test_what_is_adopted),
        TEST(test_it_is_given_up_after_three_restarts),
        TEST(test_a_start_that_fails_is_tried_in_safe_mode),
        TEST(test_a_start_that_fails_in_safe_mode_too),
        TEST(test_safe_mode_does_not_help_against_memory),
        TEST(test_what_never_answers_is_tried_in_safe_mode),
        TEST(test_safe_mode_is_asked_for),
        TEST(test_what_was_removed_from_outside),
        TEST(test_nobody_listens_any_more),
        TEST(test_silence_is_said_and_passes),
        TEST(test_long_silence_is_ended),
        TEST(test_a_class_is_not_ended_for_a_slow_machine),
        TEST(test_a_process_that_is_gone),
        TEST(test_the_engine_may_say_it_first),
        TEST(test_a_new_device_of_the_name),
        TEST(test_a_device_that_was_replaced_unseen),
        TEST(test_a_removal_fails_when_the_device_was_replaced),
        TEST(test_an_object_without_a_uid_deletes_nothing),
        TEST(test_an_older_store_deletes_nothing),
        TEST(test_an_orphan_of_an_earlier_revision_goes),
        TEST(test_a_device_that_is_set_aside_ends_nothing),
        TEST(test_an_orphan_that_is_set_aside_stays),
        TEST(test_what_ended_on_a_full_disk_waits),
    };
    const struct CMUnitTest pure[] = {
        cmocka_unit_test(test_limits_are_as_documented),
        cmocka_unit_test(test_restarts_are_counted_within_a_window),
    };

    real = limits;
    signal(SIGPIPE, SIG_IGN);
    int failed = cmocka_run_group_tests(pure, NULL, NULL);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        print_message("the rest needs root\n");
        return failed;
    }
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
