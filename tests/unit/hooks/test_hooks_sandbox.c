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
    assert_true(answer_has_header(try(NULL, "\"ports\":[1,2]"), "the first"));
    struct answer *a = try(NULL, "\"socket\":\"/run/a/s\",\"volumes\":[]");
    assert_true(answer_has_header(a, "spec.volumes is kept and has no effect yet"));
    assert_false(answer_has_header(a, "spec.socket"));
    assert_false(answer_has_header(try(NULL, "\"socket\":\"/run/a/s\""), "Warning"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(paths), TEST(variables), TEST(ports), TEST(changes), TEST(what_has_no_effect_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
