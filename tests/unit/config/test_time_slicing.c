/* How many environments share a GPU, as a file for NVIDIA's device plugin says it. */
#include "config/time_slicing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "config/config.h"

#define NVIDIA "nvidia.com/gpu"

static struct time_slicing *parse(const char *yaml)
{
    _cleanup_error_ struct error *err = NULL;
    struct time_slicing *s = time_slicing_parse(str_from(yaml), "f.yaml", &err);

    if (s == NULL)
        fail_msg("%s", err->message);
    return s;
}

static void the_shipped_file(void **state)
{
    size_t n;
    _cleanup_free_ char *text = read_file(SHIPPED, 1 << 16, &n, NULL);

    assert_non_null(text);
    struct time_slicing *s = parse(text);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "NVIDIA H100 80GB HBM3"), 4);
    assert_int_equal(time_slicing_replicas(s, "amd.com/gpu", "NVIDIA H100 80GB HBM3"), 1);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, NULL), 4);
    time_slicing_free(s);
    assert_int_equal(time_slicing_replicas(NULL, NVIDIA, "any"), 1);
}

/* As the operator's documentation has them. */
static void models_have_their_own(void **state)
{
    struct time_slicing *s = parse("kind: ConfigMap\n"
                                   "data:\n"
                                   "  a100: |-\n"
                                   "    version: v1\n"
                                   "    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 8}]}}\n"
                                   "  a100-40gb: |-\n"
                                   "    version: v1\n"
                                   "    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 5},\n"
                                   "      {name: nvidia.com/mig-1g.10gb, replicas: 2}]}}\n"
                                   "  any: |-\n"
                                   "    version: v1\n"
                                   "    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 3}]}}\n"
                                   "  Tesla-T4: |-\n"
                                   "    version: v1\n"
                                   "    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n"
                                   "  h100: |-\n"
                                   "    version: v1\n");

    assert_int_equal(time_slicing_replicas(s, NVIDIA, "NVIDIA A100-SXM4-40GB"), 5);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "NVIDIA A100-SXM4-80GB"), 8);
    assert_int_equal(time_slicing_replicas(s, "nvidia.com/mig-1g.10gb", "NVIDIA A100-SXM4-40GB"), 2);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "Tesla T4"), 4);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "Tesla T40"), 3);
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "40GB A100"), 8); /* the words in their order */
    assert_int_equal(time_slicing_replicas(s, NVIDIA, ""), 3);
    time_slicing_free(s);
}

static void a_configuration_alone(void **state)
{
    struct time_slicing *s = parse("version: v1\nflags: {migStrategy: none}\nsharing:\n  timeSlicing:\n"
                                   "    renameByDefault: false\n    resources:\n"
                                   "    - {name: nvidia.com/gpu, replicas: 256, devices: all}\n");

    assert_int_equal(time_slicing_replicas(s, NVIDIA, "x"), 256);
    time_slicing_free(s);
    s = parse("version: v1\n");
    assert_int_equal(time_slicing_replicas(s, NVIDIA, "x"), 1);
    time_slicing_free(s);
}

static const struct {
    const char *yaml, *said;
} refused[] = {
    {"", "f.yaml: version: expected keys"},
    {"a: [", "f.yaml"},
    {"[]", "version: expected keys"},
    {"sharing: {}", "f.yaml: version: expected v1"},
    {"version: v2", "version: expected v1"},
    {"version: v1\nsharing: {timeSlicing: 7}", "sharing.timeSlicing.resources: expected a list"},
    {"version: v1\nsharing: {timeSlicing: {resources: {}}}", "sharing.timeSlicing.resources: expected a list"},
    {"version: v1\nsharing: {timeSlicing: {resources: [7]}}", "sharing.timeSlicing.resources[0].name"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: 2}, {name: b}]}}",
     "sharing.timeSlicing.resources[1].replicas: expected a whole number from 1 to 256"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: 0}]}}", "from 1 to 256"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: 257}]}}", "from 1 to 256"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: -1}]}}", "from 1 to 256"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: '4'}]}}", "from 1 to 256"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: 4, devices: [0]}]}}", "devices: all"},
    {"version: v1\nsharing: {timeSlicing: {resources: [{name: a, replicas: 4, rename: b}]}}", "renamed"},
    {"version: v1\nsharing: {timeSlicing: {renameByDefault: true, resources: []}}", "renameByDefault"},
    {"version: v1\nsharing: {mps: {resources: []}}", "sharing.mps"},
    {"kind: ConfigMap", "f.yaml: data: expected"},
    {"kind: ConfigMap\ndata: {}", "f.yaml: data: expected"},
    {"kind: ConfigMap\ndata: {any: 7}", "f.yaml: data[any]"},
    {"kind: ConfigMap\ndata: {any: 'a: ['}", "f.yaml: data[any]"},
    {"kind: ConfigMap\ndata: {any: 'version: v1', t4: 'version: v2'}", "f.yaml: data[t4]: version: expected v1"},
};

static void errors_name_file_and_field(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_error_ struct error *err = NULL;
        struct time_slicing *s = time_slicing_parse(str_from(refused[i].yaml), "f.yaml", &err);
        if (s)
            fail_msg("taken: %s", refused[i].yaml);
        if (strstr(err->message, refused[i].said) == NULL)
            fail_msg("%s: %s", refused[i].yaml, err->message);
    }
}

/* Through the configuration, which names the file. */
static void by_the_configuration(void **state)
{
    char file[] = "/tmp/open-hydra-slicing-XXXXXX";
    int fd = mkstemp(file);
    _cleanup_error_ struct error *err = NULL;

    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(write_file_atomic(file, STR("gpuTimeSlicing: " SHIPPED "\n"), 0600, NULL), 0);
    struct config *c = config_load(&(struct config_flags){.file = file}, NULL);
    assert_non_null(c);
    assert_int_equal(config_gpu_units(c, NVIDIA, "NVIDIA H100 80GB HBM3"), 4);
    config_free(c);
    assert_int_equal(write_file_atomic(file, STR("gpuTimeSlicing: /nowhere/at/all\n"), 0600, NULL), 0);
    assert_null(config_load(&(struct config_flags){.file = file}, &err));
    assert_non_null(strstr(err->message, "gpuTimeSlicing"));
    assert_non_null(strstr(err->message, "/nowhere/at/all"));
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file),      cmocka_unit_test(models_have_their_own),
        cmocka_unit_test(a_configuration_alone), cmocka_unit_test(errors_name_file_and_field),
        cmocka_unit_test(by_the_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
