/* What the runner could never start is refused when it is written, with the field's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
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

/* A sandbox of that specification; `field` NULL: it is taken. */
static struct answer *try(const char *field, const char *spec)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"s\"},\"spec\":{\"cpuImageName\":\"a:b\"%s%s}}", *spec ? "," : "", spec);
    struct answer *a = create(field ? 422 : 201, "sandboxes?dryRun=All", body);
    _cleanup_free_ char *named = xasprintf("\"field\":\"%s\"", field ? field : "");

    if (field && !answer_has(a, named))
        fail_msg("%s: %s", spec, a->body.p);
    return a;
}

static void try_paths(const char *field, const char *home, const char *socket)
{
    _cleanup_free_ char *spec = xasprintf("\"home\":\"%s\",\"socket\":\"%s\"", home, socket);

    try(field, spec);
}

static void paths(void **state)
{
    static const char *const homes[] = {"/proc", "/proc/x", "/sys/fs/cgroup", "/dev/shm", "/etc", "/etc/x",  "/usr/lib",
                                        "/bin",  "/sbin",   "/lib",           "/lib64",   "/",    "/a/../b", "/a/./b",
                                        "/a//b", "/home/",  "/tmp",           "/run",     "/.."};
    static const char *const sockets[] = {
        "/s",     "/proc/s", "/proc/1/s", "/sys/s",  "/dev/s",          "/etc/a/s",          "/usr/s",
        "/tmp/s", "/a/../s", "/run/a/",   "/run//s", "/home/student/s", "/home/student/a/s", "/home/s"};

    for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
        try_paths("spec.home", homes[i], "/run/open-hydra/s");
    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
        try_paths("spec.socket", "/home/student", sockets[i]);
    try_paths(NULL, "/home/student", "/run/open-hydra/s");
    try_paths(NULL, "/procs", "/run/s");
    try_paths(NULL, "/root", "/srv/x/s");
    try_paths(NULL, "/home/student", "/home/students/s");
    try_paths(NULL, "/data", "/etcetera/s");
    try_paths(NULL, "/a/...", "/run/..a/s");
}

static void variables(void **state)
{
    static const char *const refused[] = {"NVIDIA_VISIBLE_DEVICES",
                                          "NVIDIA_DRIVER_CAPABILITIES",
                                          "NVIDIA_REQUIRE_CUDA",
                                          "NVIDIA_DISABLE_REQUIRE",
                                          "NVIDIA_OF_A_LATER_VERSION",
                                          "GCONV_PATH",
                                          "LD_PRELOAD",
                                          "LD_AUDIT"};
    static const char *const taken[] = {"NVIDIA_TF32_OVERRIDE", "LD_LIBRARY_PATH", "MY_LD_PRELOAD", "ld_preload"};
    char spec[256];

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        snprintf(spec, sizeof(spec), "\"env\":[{\"name\":\"A\"},{\"name\":\"%s\",\"value\":\"x\"}]", refused[i]);
        try("spec.env[1].name", spec);
    }
    /* All that is wrong is said at once. */
    assert_true(
        answer_has(try("spec.env[0].name", "\"home\":\"/proc\",\"env\":[{\"name\":\"LD_PRELOAD\"}]"), "spec.home"));
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        snprintf(spec, sizeof(spec), "\"env\":[{\"name\":\"%s\",\"value\":\"x\"}]", taken[i]);
        try(NULL, spec);
    }
}

/* In the original's two forms, each with what is wrong with it. */
static void ports(void **state)
{
    static const struct {
        const char *field, *ports;
    } table[] = {
        {"spec.ports[0]", "0"},
        {"spec.ports[0]", "65536"},
        {"spec.ports[0]", "-1"},
        {"spec.ports[0]", "1.5"},
        {"spec.ports[0]", "\"8888\""},
        {"spec.ports[0].port", "{}"},
        {"spec.ports[0].port", "{\"name\":\"a\",\"port\":\"1\"}"},
        {"spec.ports[0].name", "{\"name\":\"A\",\"port\":1}"},
        {"spec.ports[0].name", "{\"name\":\"\",\"port\":1}"},
        {"spec.ports[0].name", "{\"name\":7,\"port\":1}"},
        {"spec.ports[0].name", "{\"name\":\"main\",\"port\":1}"},
        {"spec.ports[0].name", "{\"name\":\"a-name-of-sixteen\",\"port\":1}"},
        {"spec.ports[0]", "{\"port\":1,\"protocol\":\"UDP\"}"},
        {"spec.ports[2]", "1,2,1"},
        {"spec.ports[1]", "{\"name\":\"a\",\"port\":1},{\"name\":\"a\",\"port\":2}"},
        {"spec.ports[1]", "{\"name\":\"port-1\",\"port\":1},2"},
        {NULL, "1,65535"},
        {NULL, "{\"port\":8888},{\"name\":\"jupyter-lab\",\"port\":80}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_free_ char *spec = xasprintf("\"ports\":[%s]", table[i].ports);
        try(table[i].field, spec);
    }
}

#define VOLUMES "\"socket\":\"/run/a/s\",\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeMiB\":9}}],\"volumeMounts\":["

static void volumes(void **state)
{
    static const char *const refused[] = {"/proc/a", "/etc",   "/home",   "/home/student/a",
                                          "/run",    "/run/a", "/a/../b", "/"};
    static const char *const taken[] = {"/tmp", "/dev/shm", "/srv/a", "/run/b", "/opt"};

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *spec = xasprintf(VOLUMES "{\"name\":\"a\",\"mountPath\":\"%s\"}]", refused[i]);
        try("spec.volumeMounts[0].mountPath", spec);
    }
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        _cleanup_free_ char *spec = xasprintf(VOLUMES "{\"name\":\"a\",\"mountPath\":\"%s\"}]", taken[i]);
        try(NULL, spec);
    }
    try("spec.volumeMounts[0].name", VOLUMES "{\"name\":\"b\",\"mountPath\":\"/srv/a\"}]");
    try("spec.volumeMounts[1].mountPath",
        VOLUMES "{\"name\":\"a\",\"mountPath\":\"/srv/a\"},{\"name\":\"a\",\"mountPath\":\"/srv\"}]");
    try("spec.volumes[0].emptyDir.sizeMiB", "\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeMiB\":0}}]");
}

/* A quantity or a share; and not twice. */
static void sizes(void **state)
{
    static const char *const refused[] = {"lots", "", "1", "0%", "101%", "1gb", "-1Gi", "17Ti", "1e9", "50 %"};
    static const char *const taken[] = {"1Gi", "1.5G", "50%", "100%", "64Ki", "1073741824"};

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *shm = xasprintf("\"shmSize\":\"%s\"", refused[i]);
        _cleanup_free_ char *tmp = xasprintf("\"tmpSize\":\"%s\"", refused[i]);
        _cleanup_free_ char *limit =
            xasprintf("\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeLimit\":\"%s\"}}]", refused[i]);
        try("spec.shmSize", shm);
        try("spec.tmpSize", tmp);
        try("spec.volumes[0].emptyDir.sizeLimit", limit);
    }
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        _cleanup_free_ char *spec = xasprintf("\"shmSize\":\"%s\",\"tmpSize\":\"%s\"", taken[i], taken[i]);
        try(NULL, spec);
    }
    try("spec.volumes[0].emptyDir.sizeLimit", "\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeLimit\":\"50%\"}}]");
    try(NULL, "\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeLimit\":\"2Gi\"}}]");
    try("spec.shmSize", "\"shmSize\":\"1Gi\"," VOLUMES "{\"name\":\"a\",\"mountPath\":\"/dev/shm\"}]");
    try("spec.tmpSize", "\"tmpSize\":\"1Gi\"," VOLUMES "{\"name\":\"a\",\"mountPath\":\"/tmp\"}]");
    try(NULL, "\"shmSize\":\"1Gi\"," VOLUMES "{\"name\":\"a\",\"mountPath\":\"/tmp\"}]");
    try("spec.processes", "\"processes\":63");
    assert_false(answer_has_header(try(NULL, "\"socket\":\"/run/a/s\",\"processes\":64"), "Warning"));
    assert_true(answer_has_header(try(NULL, "\"processes\":4097"), "maxPidsPerDevice"));
}

/* By a change as by a creation. */
static void changes(void **state)
{
    assert_true(answer_has(patch(422, "sandboxes/jupyter-lab", "{\"spec\":{\"home\":\"/proc\"}}"), "spec.home"));
    assert_true(answer_has(patch(422, "sandboxes/jupyter-lab", "{\"spec\":{\"env\":[{\"name\":\"LD_PRELOAD\"}]}}"),
                           "spec.env[0].name"));
    patch(200, "sandboxes/jupyter-lab", "{\"spec\":{\"home\":\"/home/me\"}}");
    patch(200, "sandboxes/jupyter-lab/status", "{\"status\":{\"a\":1}}");
    delete_(200, "sandboxes/jupyter-lab");
}

static void what_has_no_effect_is_said(void **state)
{
    assert_true(answer_has_header(try(NULL, ""), "neither spec.socket nor spec.ports"));
    assert_false(answer_has_header(try(NULL, "\"ports\":[8888]"), "Warning"));
    assert_false(answer_has_header(try(NULL, "\"socket\":\"/run/a/s\",\"ports\":[1,2]"), "Warning"));
    struct answer *a =
        try(NULL, "\"socket\":\"/run/a/s\",\"volumes\":[{\"name\":\"a\",\"hostPath\":{\"path\":\"/x\"}}]");
    assert_true(answer_has_header(a, "spec.volumes[0] is kept and has no effect yet"));
    assert_false(answer_has_header(a, "spec.socket"));
    assert_false(answer_has_header(try(NULL, "\"socket\":\"/run/a/s\""), "Warning"));
}

/* --- the pull secret ---------------------------------------------------------------------------------------------- */

#define PLAIN "sandboxes/jupyter-lab"

static char *set_at(void)
{
    struct answer *a = get(200, PLAIN);
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    const char *when = json_str_at(yyjson_doc_get_root(doc), "status.pullSecretSetAt");
    return xstrdup(when ? when : "");
}

static bool tells(long code, const char *text)
{
    struct call c = {.method = "GET", .path = GROUP PLAIN "/pullsecret", .user = RUNNER};
    return answer_has(expect(code, call(&world.f, &c)), text);
}

static void pull_secrets(void **state)
{
    _cleanup_free_ char *uid = uid_of("sandboxes", "jupyter-lab");

    assert_true(tells(404, "has no spec.imagePullSecret"));
    assert_true(answer_has(patch(422, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"username\":\"u\"}}}"),
                           "spec.imagePullSecret.password"));
    assert_true(answer_has(patch(422, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"password\":\"p\"}}}"),
                           "spec.imagePullSecret.username"));
    struct answer *a =
        patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"username\":\"u\",\"password\":\"fish-1\"}}}");
    assert_false(answer_has(a, "fish-1"));
    assert_false(answer_has(get(200, PLAIN), "fish-1"));
    assert_true(tells(200, "{\"username\":\"u\",\"password\":\"fish-1\"}"));
    _cleanup_free_ char *first = set_at();
    assert_string_not_equal(first, "");
    /* The same again, or none, changes nothing; another is told of, though the object is the same. */
    patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"password\":\"fish-1\"}}}");
    patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"password\":\"\"}}}");
    patch_as(RUNNER, 200, PLAIN "/status", "{\"status\":{\"phase\":\"Ready\",\"pullSecretSetAt\":null}}");
    _cleanup_free_ char *second = set_at();
    assert_string_equal(first, second);
    patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"password\":\"fish-2\"}}}");
    _cleanup_free_ char *third = set_at();
    assert_string_not_equal(first, third);
    assert_true(tells(200, "fish-2"));
    /* Gone with the field, and with the sandbox. */
    patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":null}}");
    _cleanup_free_ char *last = set_at();
    assert_string_equal(last, "");
    assert_null(secret("pull-secret", uid));
    patch(200, PLAIN, "{\"spec\":{\"imagePullSecret\":{\"username\":\"u\",\"password\":\"fish-3\"}}}");
    _cleanup_free_ char *kept = secret("pull-secret", uid);
    assert_string_equal(kept, "fish-3");
    delete_(200, PLAIN);
    assert_null(secret("pull-secret", uid));
}

/* --- what it says of its devices ---------------------------------------------------------------------------------- */

static struct answer *make(long code, int role, const char *more)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"ada\"},\"spec\":{\"openHydraUsername\":\"ada\"%s}}", more);
    return create_as("ada", role, code, "devices?dryRun=All", body);
}

static void amounts(void **state)
{
    make_user("ada", 2, NULL);
    assert_true(answer_has(patch(422, PLAIN, "{\"spec\":{\"resources\":{\"defaultCpuMilli\":3,\"maxCpuMilli\":4}}}"),
                           "spec.resources.defaultCpuMilli"));
    assert_true(
        answer_has(patch(422, PLAIN, "{\"spec\":{\"resources\":{\"defaultMemoryMiB\":65,\"maxMemoryMiB\":64}}}"),
                   "spec.resources.defaultMemoryMiB"));
    assert_false(answer_has(make(201, 2, ""), "deviceCpu"));
    patch(200, PLAIN,
          "{\"spec\":{\"resources\":{\"defaultCpuMilli\":3000,\"maxCpuMilli\":4000,\"defaultMemoryMiB\":512,"
          "\"maxMemoryMiB\":1024}}}");
    struct answer *a = make(201, 2, "");
    assert_true(answer_has(a, "\"deviceCpu\":\"3000\""));
    assert_true(answer_has(a, "\"deviceRam\":\"512\""));
    assert_true(answer_has(make(201, 2, ",\"deviceCpu\":\"100\""), "\"deviceCpu\":\"100\""));
    /* More than the configuration's 2000, as the sandbox says. */
    make(201, 2, ",\"deviceCpu\":\"3000\"");
    assert_true(answer_has(make(403, 2, ",\"deviceCpu\":\"3001\""), "at most 3000 without an administrator"));
    assert_true(answer_has(make(403, 2, ",\"deviceRam\":\"513\""), "at most 512 without an administrator"));
    make(201, 1, ",\"deviceCpu\":\"4000\",\"deviceRam\":\"1024\"");
    assert_true(answer_has(make(422, 1, ",\"deviceCpu\":\"4001\""), "spec.deviceCpu"));
    assert_true(answer_has(make(422, 1, ",\"deviceRam\":\"1025\""), "at most 1024 MiB in this sandbox"));
}

static void hidden_and_deprecated(void **state)
{
    make_user("ada", 2, NULL);
    patch(200, PLAIN, "{\"spec\":{\"hidden\":true,\"deprecated\":\"use vscode\"}}");
    assert_true(answer_has(make(403, 2, ""), "is not offered"));
    assert_true(answer_has_header(make(201, 1, ""), "sandbox jupyter-lab is deprecated: use vscode"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(paths),
        TEST(variables),
        TEST(volumes),
        TEST(sizes),
        TEST(ports),
        TEST(changes),
        TEST(what_has_no_effect_is_said),
        TEST(pull_secrets),
        TEST(amounts),
        TEST(hidden_and_deprecated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
