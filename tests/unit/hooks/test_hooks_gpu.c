/* GPUs: what Hosts report is given to devices, in order, once, and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/hooks/allocation.h"
#include "unit/hooks/world.h"

#define MANY 40

static int setup(void **state)
{
    world_start(64, 64);
    return 0;
}

static int teardown(void **state)
{
    world_stop();
    return 0;
}

/* --- Hosts --- */

/* «ID:UNITS» each; an id that ends in "!" is not healthy, one that begins with "amd" is of the other kind. */
static void report(const char *host, const char *gpus)
{
    _cleanup_free_ char *path = xasprintf("hosts/%s/status", host);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 16);
    struct str rest = str_from(gpus), one, id;

    buffer_puts(&b, "{\"status\":{\"cpu\":8,\"memory\":\"16Gi\",\"gpus\":[");
    for (bool first = true; str_split(&rest, ' ', &one); first = false) {
        if (one.n == 0)
            break;
        assert_true(str_split(&one, ':', &id));
        bool broken = id.p[id.n - 1] == '!';
        buffer_printf(&b, "%s{\"id\":\"%.*s\",\"resource\":\"%s\",\"model\":\"M\",\"units\":%.*s,\"healthy\":%s}",
                      first ? "" : ",", (int)id.n - broken, id.p,
                      starts_with(id.p, "amd") ? "amd.com/gpu" : "nvidia.com/gpu", (int)one.n, one.p,
                      broken ? "false" : "true");
    }
    buffer_puts(&b, "]}}");
    patch_as(RUNNER, 200, path, buffer_str(&b).p);
}

static void make_host(const char *name, const char *gpus)
{
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{}}", name);

    create_as(RUNNER, 0, 201, "hosts", body);
    report(name, gpus);
}

/* «GIVEN of TOTAL, FREE free», as the columns of `kubectl get hosts` have it. */
static const char *units_of(const char *host)
{
    static char said[64];
    _cleanup_free_ char *path = xasprintf("hosts/%s", host);
    struct answer *a = get(200, path);

    snprintf(said, sizeof(said), "%d of %d, %d free", (int)answer_int(a, "status.gpuUnits.given"),
             (int)answer_int(a, "status.gpuUnits.total"), (int)answer_int(a, "status.gpuUnits.free"));
    return said;
}

/* The devices that a GPU of that host is said to have, joined by blanks. */
static const char *holders_of(const char *host, const char *gpu)
{
    static char said[512];
    _cleanup_free_ char *path = xasprintf("hosts/%s", host);
    yyjson_val *gpus = json_at(yyjson_doc_get_root(get(200, path)->doc), "status.gpus"), *one, *name;
    size_t i, n, j, m;

    said[0] = '\0';
    yyjson_arr_foreach (gpus, i, n, one) {
        if (!streq(json_str_at(one, "id"), gpu))
            continue;
        yyjson_arr_foreach (json_at(one, "devices"), j, m, name)
            snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", j ? " " : "", yyjson_get_str(name));
    }
    return said;
}

/* --- Devices --- */

static void ask(long code, const char *name, unsigned gpus, const char *more)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"openHydraUsername\":\"%s\",\"deviceGpu\":%u%s%s}}", name,
                  name, gpus, *more ? "," : "", more);

    create(code, "devices", body);
}

static void make(const char *name, unsigned gpus)
{
    make_user(name, 2, NULL);
    ask(201, name, gpus, "");
}

static void make_first(const char *name, unsigned gpus, int priority)
{
    _cleanup_free_ char *more = xasprintf("\"priority\":%d", priority);

    make_user(name, 2, NULL);
    ask(201, name, gpus, more);
}

static const char *said(const char *device, const char *path)
{
    _cleanup_free_ char *whole = xasprintf("devices/%s", device);

    return answer_str(get(200, whole), path);
}

/* The GPUs that it has, joined by blanks; "-" where it waits. */
static const char *gpus_of(const char *device)
{
    static char said[2048];
    _cleanup_free_ char *path = xasprintf("devices/%s", device);
    yyjson_val *root = yyjson_doc_get_root(get(200, path)->doc), *one;
    size_t i, n;

    if (json_at(root, "status.queue")) {
        assert_string_equal(json_str_at(root, "status.phase"), "Queued");
        assert_string_equal(json_str_at(root, "spec.deviceStatus"), "Pending");
        assert_null(json_at(root, "status.gpus"));
        return "-";
    }
    said[0] = '\0';
    yyjson_arr_foreach (json_at(root, "status.gpus"), i, n, one)
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", i ? " " : "", json_str_at(one, "id"));
    return said;
}

static int64_t queue_of(const char *device, const char *what)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device), *field = xasprintf("status.queue.%s", what);

    return answer_int(get(200, path), field);
}

static void end(const char *device)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device);

    delete_(200, path);
    runner_lets_go(device);
    get(404, path);
}

/* --- Giving --- */

static void a_gpu_is_given_and_comes_back(void **state)
{
    make_host("here", "GPU-1:1");
    assert_string_equal(units_of("here"), "0 of 1, 1 free");
    make("a", 1);
    assert_string_equal(gpus_of("a"), "GPU-1");
    assert_string_equal(said("a", "spec.deviceType"), "gpu");
    assert_string_equal(said("a", "spec.gpuDriver"), "nvidia.com/gpu");
    assert_true(answer_has(get(200, "devices/a"),
                           "\"gpus\":[{\"id\":\"GPU-1\",\"resource\":\"nvidia.com/gpu\",\"host\":\"here\"}]"));
    assert_string_equal(units_of("here"), "1 of 1, 0 free");
    assert_string_equal(holders_of("here", "GPU-1"), "a");
    /* Not before its container is gone. */
    delete_(200, "devices/a");
    assert_string_equal(units_of("here"), "1 of 1, 0 free");
    runner_lets_go("a");
    assert_string_equal(units_of("here"), "0 of 1, 1 free");
    assert_string_equal(holders_of("here", "GPU-1"), "");
    assert_null(secret("gpu", "a"));
}

static void without_a_gpu_it_waits(void **state)
{
    make("a", 1);
    assert_string_equal(gpus_of("a"), "-");
    assert_string_equal(said("a", "status.reason"), "WaitingForGPU");
    assert_string_equal(said("a", "status.queue.waitingFor"), "nvidia.com/gpu");
    assert_int_equal(queue_of("a", "position"), 1);
    assert_int_equal(queue_of("a", "wanted"), 1);
    assert_int_equal(queue_of("a", "total"), 0);
    assert_true(answer_has(get(200, "devices/a"), "there is no GPU here that is nvidia.com/gpu"));
    /* What its user has for good is there already. */
    assert_true(port_of("a") >= 31000);
    make_host("here", "GPU-1:1");
    assert_string_equal(gpus_of("a"), "GPU-1");
    assert_string_equal(said("a", "status.reason"), "RunnerAbsent");
}

static void who_waits_starts_by_itself(void **state)
{
    make_host("here", "GPU-1:2");
    make("a", 1);
    make("b", 1);
    make("c", 1);
    make("d", 1);
    assert_string_equal(gpus_of("c"), "-");
    assert_int_equal(queue_of("c", "position"), 1);
    assert_int_equal(queue_of("d", "position"), 2);
    assert_int_equal(queue_of("d", "holders"), 2);
    assert_int_equal(queue_of("d", "total"), 2);
    /* Of others it says how many they are, and nothing else. */
    assert_false(answer_has(get(200, "devices/c"), "\"a\""));
    /* Who asks for none waits for nobody. */
    make("e", 0);
    assert_string_equal(gpus_of("e"), "");
    assert_string_equal(said("e", "spec.deviceType"), "cpu");
    end("b");
    assert_string_equal(gpus_of("c"), "GPU-1");
    assert_int_equal(queue_of("d", "position"), 1);
    end("c");
    assert_string_equal(gpus_of("d"), "GPU-1");
    assert_string_equal(holders_of("here", "GPU-1"), "a d");
}

static void units_of_one_device_are_spread(void **state)
{
    make_host("here", "GPU-1:4 GPU-2:4");
    make("a", 2);
    assert_string_equal(gpus_of("a"), "GPU-1 GPU-2");
    make("b", 1);
    assert_string_equal(gpus_of("b"), "GPU-1");
    make("c", 1); /* the least used */
    assert_string_equal(gpus_of("c"), "GPU-2");
    make("d", 3);
    assert_string_equal(gpus_of("d"), "GPU-1 GPU-2 GPU-1");
    make("e", 1);
    assert_string_equal(gpus_of("e"), "GPU-2");
    assert_string_equal(units_of("here"), "8 of 8, 0 free");
    assert_string_equal(holders_of("here", "GPU-1"), "a b d d");
}

static void over_several_hosts_and_kinds(void **state)
{
    make_host("one", "GPU-1:1 amd-1:1");
    make_host("two", "GPU-2:1");
    make("a", 2);
    assert_string_equal(gpus_of("a"), "GPU-1 GPU-2");
    make_user("b", 2, NULL);
    ask(201, "b", 1, "\"gpuDriver\":\"amd.com/gpu\"");
    assert_string_equal(gpus_of("b"), "amd-1");
    assert_string_equal(units_of("one"), "2 of 2, 0 free");
    /* Who waits for the one is not in the way of those who wait for the other. */
    make("c", 1);
    make_user("d", 2, NULL);
    ask(201, "d", 1, "\"gpuDriver\":\"amd.com/gpu\"");
    assert_int_equal(queue_of("c", "position"), 1);
    assert_int_equal(queue_of("d", "position"), 1);
    end("b");
    assert_string_equal(gpus_of("d"), "amd-1");
    assert_string_equal(gpus_of("c"), "-");
}

/* --- The order --- */

static void who_wants_two_is_not_passed(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("a", 1);
    make("b", 1);
    make("two", 2);
    make("c", 1);
    end("a"); /* one is free, and is kept */
    assert_string_equal(gpus_of("two"), "-");
    assert_string_equal(gpus_of("c"), "-");
    make("d", 1); /* nor for who comes now */
    assert_string_equal(gpus_of("d"), "-");
    assert_string_equal(units_of("here"), "1 of 2, 1 free");
    end("b");
    assert_string_equal(gpus_of("two"), "GPU-1 GPU-2");
    assert_int_equal(queue_of("c", "position"), 1);
    end("two");
    assert_string_equal(gpus_of("c"), "GPU-1");
    assert_string_equal(gpus_of("d"), "GPU-2");
}

/* Who gives up frees what was kept. */
static void who_waits_may_go(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("a", 1);
    make("two", 2);
    make("c", 1);
    assert_string_equal(gpus_of("c"), "-");
    delete_(200, "devices/two");
    assert_string_equal(gpus_of("c"), "GPU-2");
    assert_string_equal(said("two", "status.reason"), "Deleted");
    make("three", 2);
    make("d", 1);
    end("a");
    assert_string_equal(gpus_of("d"), "-");
    delete_(200, "openhydrausers/three");
    assert_string_equal(gpus_of("d"), "GPU-1");
}

static void more_than_there_are_waits_and_keeps_nothing(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("three", 3);
    assert_string_equal(said("three", "status.reason"), "WaitingForGPU");
    assert_true(answer_has(get(200, "devices/three"), "3 units of nvidia.com/gpu are wanted, and there are 2 here"));
    make("a", 1);
    make("b", 1);
    assert_string_equal(gpus_of("a"), "GPU-1");
    assert_string_equal(gpus_of("b"), "GPU-2");
    make("c", 1);
    assert_int_equal(queue_of("c", "position"), 2);
    /* Once there are enough it comes first again. */
    report("here", "GPU-1:1 GPU-2:1 GPU-3:1");
    assert_false(answer_has(get(200, "devices/three"), "there are 2 here"));
    assert_string_equal(gpus_of("c"), "-");
    end("a");
    end("b");
    assert_string_equal(gpus_of("three"), "GPU-1 GPU-2 GPU-3");
    assert_int_equal(queue_of("c", "position"), 1);
}

static void priorities(void **state)
{
    make_host("here", "GPU-1:1");
    make("a", 1);
    make("b", 1);
    make("c", 1);
    make_first("exam", 1, 10);
    make_first("late", 1, -5);
    make("d", 1);
    assert_int_equal(queue_of("exam", "position"), 1);
    assert_int_equal(queue_of("b", "position"), 2);
    assert_int_equal(queue_of("c", "position"), 3);
    assert_int_equal(queue_of("d", "position"), 4);
    assert_int_equal(queue_of("late", "position"), 5);
    /* Changed while it waits. */
    patch(200, "devices/d", "{\"spec\":{\"priority\":20}}");
    assert_int_equal(queue_of("d", "position"), 1);
    assert_int_equal(queue_of("exam", "position"), 2);
    assert_int_equal(queue_of("c", "position"), 4);
    patch(200, "devices/exam", "{\"spec\":{\"priority\":-1}}");
    assert_int_equal(queue_of("exam", "position"), 4);
    assert_int_equal(queue_of("late", "position"), 5);
    end("a");
    assert_string_equal(gpus_of("d"), "GPU-1");
    world_restart();
    assert_int_equal(queue_of("b", "position"), 1);
    end("d");
    assert_string_equal(gpus_of("b"), "GPU-1");
    assert_int_equal(queue_of("exam", "position"), 2);
    /* Not a student's to say. */
    make_user("s", 2, NULL);
    create_as("s", 2, 403, "devices",
              "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"openHydraUsername\":\"s\",\"priority\":1}}");
}

/* Who comes first by priority takes what is kept for one behind. */
static void a_priority_goes_first_when_it_comes(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("a", 1);
    make("two", 2);
    make_first("exam", 1, 1);
    assert_string_equal(gpus_of("exam"), "GPU-2");
    assert_int_equal(queue_of("two", "position"), 1);
}

/* --- Hosts that change --- */

static void what_is_not_well_is_not_given(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("a", 1);
    report("here", "GPU-1!:1 GPU-2!:1");
    make("b", 1);
    assert_string_equal(gpus_of("a"), "GPU-1"); /* until it ends */
    assert_string_equal(gpus_of("b"), "-");
    assert_true(answer_has(get(200, "devices/b"), "there is no GPU here"));
    assert_string_equal(units_of("here"), "1 of 0, 0 free");
    end("a");
    assert_string_equal(gpus_of("b"), "-");
    report("here", "GPU-1!:1 GPU-2:1");
    assert_string_equal(gpus_of("b"), "GPU-2");
    /* Gone altogether. */
    report("here", "");
    assert_string_equal(gpus_of("b"), "GPU-2");
    end("b");
    make("c", 1);
    assert_string_equal(gpus_of("c"), "-");
}

static void an_administrator_takes_out(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    patch(200, "hosts/here", "{\"spec\":{\"gpus\":[{\"id\":\"GPU-1\",\"unschedulable\":true,\"message\":\"fan\"}]}}");
    assert_string_equal(units_of("here"), "0 of 1, 1 free");
    make("a", 1);
    make("b", 1);
    assert_string_equal(gpus_of("a"), "GPU-2");
    assert_string_equal(gpus_of("b"), "-");
    report("here", "GPU-1:1 GPU-2:1"); /* whatever the runner says */
    assert_string_equal(gpus_of("b"), "-");
    patch(200, "hosts/here", "{\"spec\":{\"gpus\":null}}");
    assert_string_equal(gpus_of("b"), "GPU-1");
    end("a");
    patch(200, "hosts/here", "{\"spec\":{\"unschedulable\":true}}");
    make("c", 1);
    assert_string_equal(gpus_of("c"), "-");
    delete_(200, "hosts/here");
    assert_true(answer_has(get(200, "devices/c"), "there is no GPU here"));
    assert_string_equal(gpus_of("b"), "GPU-1");
}

/* Fewer slices than are given: nobody loses one. */
static void fewer_units(void **state)
{
    make_host("here", "GPU-1:3");
    make("a", 1);
    make("b", 1);
    make("c", 1);
    report("here", "GPU-1:1");
    assert_string_equal(units_of("here"), "3 of 1, 0 free");
    make("d", 1);
    end("a");
    end("b");
    assert_string_equal(gpus_of("d"), "-");
    end("c");
    assert_string_equal(gpus_of("d"), "GPU-1");
}

/* A machine under two names has each GPU once. */
static void a_renamed_host(void **state)
{
    make_host("old", "GPU-1:1");
    make_host("new", "GPU-1:1");
    make("a", 1);
    make("b", 1);
    assert_string_equal(gpus_of("a"), "GPU-1");
    assert_string_equal(gpus_of("b"), "-");
    struct call c = {.method = "DELETE", .path = GROUP "hosts/old", .user = RUNNER};
    expect(200, call(&world.f, &c));
    assert_string_equal(gpus_of("b"), "-");
}

static void what_the_server_says_of_a_host_stays(void **state)
{
    make_host("here", "GPU-1:1");
    make("a", 1);
    patch_as(RUNNER, 200, "hosts/here/status",
             "{\"status\":{\"gpuCount\":7,\"gpuUnits\":{\"total\":9,\"free\":9},\"gpus\":[{\"id\":\"GPU-1\","
             "\"resource\":\"nvidia.com/gpu\",\"given\":0,\"free\":5,\"devices\":[\"x\"]}]}}");
    assert_string_equal(units_of("here"), "1 of 1, 0 free");
    assert_string_equal(holders_of("here", "GPU-1"), "a");
    assert_int_equal(answer_int(get(200, "hosts/here"), "status.gpuCount"), 1);
    patch_as(RUNNER, 422, "hosts/here/status",
             "{\"status\":{\"gpus\":[{\"id\":\"GPU-1\",\"resource\":\"x\",\"units\":0}]}}");
    patch_as(RUNNER, 422, "hosts/here/status", "{\"status\":{\"gpus\":[{\"id\":\"a b\",\"resource\":\"x\"}]}}");
}

/* --- Exactly once --- */

static void held_across_restarts(void **state)
{
    make_host("here", "GPU-1:1 GPU-2:1");
    make("a", 1);
    make("b", 1);
    make("c", 1);
    world_restart();
    assert_int_equal(store_run(world.f.store, allocation_serve, &world.context, NULL), 0);
    assert_string_equal(gpus_of("a"), "GPU-1");
    assert_string_equal(gpus_of("c"), "-");
    end("b");
    assert_string_equal(gpus_of("c"), "GPU-2");
    world_restart();
    assert_string_equal(units_of("here"), "2 of 2, 0 free");
}

static void what_is_refused_takes_nothing(void **state)
{
    make_host("here", "GPU-1:1");
    make_user("a", 2, NULL);
    create(201, "devices?dryRun=All",
           "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"openHydraUsername\":\"a\",\"deviceGpu\":1}}");
    assert_string_equal(units_of("here"), "0 of 1, 1 free");
    ask(201, "a", 1, "");
    ask(409, "a", 1, "");
    delete_(200, "devices/a?dryRun=All");
    assert_string_equal(units_of("here"), "1 of 1, 0 free");
    make_user("b", 2, NULL);
    create(201, "devices?dryRun=All",
           "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"openHydraUsername\":\"b\",\"deviceGpu\":1}}");
    make("c", 1);
    assert_int_equal(queue_of("c", "position"), 1);
}

/* Whatever comes and goes: no unit twice, none lost, nobody passed who could have been served. */
static void many_come_and_go(void **state)
{
    char name[16];
    unsigned wanted[MANY], seed = 7, next = 0;

    make_host("here", "GPU-1:3 GPU-2:2 GPU-3:1");
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        wanted[i] = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 3;
        make(name, wanted[i]);
    }
    for (unsigned gone = 0; gone < MANY; gone++) {
        unsigned held = 0, lacks = 0;
        for (unsigned i = gone; i < MANY; i++) {
            snprintf(name, sizeof(name), "d%u", i);
            const char *gpus = gpus_of(name);
            if (streq(gpus, "-")) {
                lacks = lacks ? lacks : wanted[i];
                continue;
            }
            assert_int_equal(lacks, 0); /* in order */
            held += wanted[i];
            assert_int_equal(strlen(gpus), wanted[i] * 6 - 1);
        }
        assert_true(held <= 6 && (lacks == 0 || held + lacks > 6));
        assert_int_equal(answer_int(get(200, "hosts/here"), "status.gpuUnits.given"), held);
        snprintf(name, sizeof(name), "d%u", next++);
        end(name);
    }
    assert_string_equal(units_of("here"), "0 of 6, 6 free");
}

/* --- Who may, and how many --- */

static void students_ask_within_their_limit(void **state)
{
    static const char one[] = "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"openHydraUsername\":\"s\",\"deviceGpu\":1}}";
    static const char two[] = "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"openHydraUsername\":\"s\",\"deviceGpu\":2}}";

    make_host("here", "GPU-1:4");
    make_user("s", 2, NULL);
    create_as("s", 2, 403, "devices", one);
    world.config.student_gpu_limit = 1;
    assert_true(answer_has(create_as("s", 2, 403, "devices", two), "spec.deviceGpu: at most 1"));
    create_as("s", 2, 201, "devices", one);
    assert_string_equal(gpus_of("s"), "GPU-1");
    /* Hosts name the users of others' environments. */
    struct call c = {.path = GROUP "hosts/here", .user = "s", .role = 2};
    expect(403, call(&world.f, &c));
}

static void the_default_is_for_everybody(void **state)
{
    make_host("here", "GPU-1:4");
    world.config.default_gpu = 2;
    make("a", 0);
    assert_string_equal(gpus_of("a"), "");
    world.config.use_default_gpu = true;
    make("b", 0);
    assert_string_equal(gpus_of("b"), "GPU-1 GPU-1");
    assert_int_equal(answer_int(get(200, "devices/b"), "spec.deviceGpu"), 2);
    make("c", 1);
    assert_string_equal(gpus_of("c"), "GPU-1");
    make_user("s", 2, NULL);
    create_as("s", 2, 201, "devices", "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"openHydraUsername\":\"s\"}}");
    assert_string_equal(gpus_of("s"), "-");
}

static void kinds_that_are_offered(void **state)
{
    make_user("a", 2, NULL);
    ask(422, "a", 1, "\"gpuDriver\":\"example.org/gpu\"");
    char *none[] = {NULL}, *driver = world.config.gpu_driver;
    world.config.gpu_driver = NULL;
    ask(422, "a", 1, "");
    world.config.gpu_driver = driver;
    world.config.gpu_resources = none;
    ask(422, "a", 1, "");
    ask(201, "a", 0, "\"gpuDriver\":\"example.org/gpu\"");
}

static void a_sandbox_with_a_set_has_to_have_it(void **state)
{
    create(201, "sandboxes",
           "{\"metadata\":{\"name\":\"torch\"},\"spec\":{\"cpuImageName\":\"a:b\",\"socket\":\"/run/a/s\","
           "\"gpuImageSet\":{\"nvidia.com/gpu\":\"c:d\"}}}");
    make_user("a", 2, NULL);
    ask(422, "a", 1, "\"sandboxName\":\"torch\",\"gpuDriver\":\"amd.com/gpu\"");
    ask(201, "a", 1, "\"sandboxName\":\"torch\"");
    assert_string_equal(said("a", "status.reason"), "WaitingForGPU");
}

/* --- Of the runner --- */

static void what_is_used_is_the_runners_to_say(void **state)
{
    make_host("here", "GPU-1:1");
    make("a", 1);
    patch_as(RUNNER, 200, "devices/a/status",
             "{\"status\":{\"phase\":\"Running\",\"gpus\":[{\"id\":\"GPU-2\",\"host\":\"x\"},{\"id\":\"GPU-1\","
             "\"resource\":\"x\",\"host\":\"x\",\"memoryUsedBytes\":4096,\"utilization\":7,\"processes\":2}]}}");
    assert_true(answer_has(get(200, "devices/a"),
                           "\"gpus\":[{\"id\":\"GPU-1\",\"resource\":\"nvidia.com/gpu\",\"host\":\"here\","
                           "\"memoryUsedBytes\":4096,\"utilization\":7,\"processes\":2}]"));
    patch_as(RUNNER, 200, "devices/a/status", "{\"status\":{\"gpus\":null}}");
    assert_string_equal(gpus_of("a"), "GPU-1");
    make("b", 0);
    patch_as(RUNNER, 200, "devices/b/status", "{\"status\":{\"gpus\":[{\"id\":\"GPU-1\"}]}}");
    assert_string_equal(gpus_of("b"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_gpu_is_given_and_comes_back),
        TEST(without_a_gpu_it_waits),
        TEST(who_waits_starts_by_itself),
        TEST(units_of_one_device_are_spread),
        TEST(over_several_hosts_and_kinds),
        TEST(who_wants_two_is_not_passed),
        TEST(who_waits_may_go),
        TEST(more_than_there_are_waits_and_keeps_nothing),
        TEST(priorities),
        TEST(a_priority_goes_first_when_it_comes),
        TEST(what_is_not_well_is_not_given),
        TEST(an_administrator_takes_out),
        TEST(fewer_units),
        TEST(a_renamed_host),
        TEST(what_the_server_says_of_a_host_stays),
        TEST(held_across_restarts),
        TEST(what_is_refused_takes_nothing),
        TEST(many_come_and_go),
        TEST(students_ask_within_their_limit),
        TEST(the_default_is_for_everybody),
        TEST(kinds_that_are_offered),
        TEST(a_sandbox_with_a_set_has_to_have_it),
        TEST(what_is_used_is_the_runners_to_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
