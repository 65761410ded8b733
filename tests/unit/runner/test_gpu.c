/* The GPUs of a machine, by the fake NVML (tests/fake): what there is, what goes wrong with them, who uses them, and what
 * a container gets. Clocks are arguments; the thread itself is started once. */
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "runner/gpu/cdi.h"
#include "runner/gpu/parts.h"
#include "runner/gpu/use.h"
#include "runner/gpu/watch.h"
#include "runner/gpu/xid.h"

#define SECOND INT64_C(1000000)
#define H100 "gpu GPU-a 0 85520809984 NVIDIA H100 80GB HBM3\n"
#define TWO "driver 580.159.04\n" H100 "gpu GPU-b 1 85520809984 NVIDIA H100 80GB HBM3\n"
#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[64], scenario[96], proc[96], dev[96], own_cdi[96];
static int stop_fd;
static atomic_uint told;
static struct gpus *gpus;
static int64_t now;

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void write_in(const char *base, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", base, name), *parent = xstrdup(path);

    *strrchr(parent, '/') = '\0';
    assert_int_equal(make_directory(parent, 0755, NULL), 0);
    write_text(path, text);
}

static void world(const char *text)
{
    _cleanup_free_ char *next = xasprintf("%s.next", scenario);
    write_text(next, text);
    assert_int_equal(rename(next, scenario), 0);
}

static void count(void *arg)
{
    told++;
}

static int set_up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/runner-gpu-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(scenario, sizeof(scenario), "%s/scenario", folder);
    snprintf(proc, sizeof(proc), "%s/proc", folder);
    snprintf(dev, sizeof(dev), "%s/dev", folder);
    snprintf(own_cdi, sizeof(own_cdi), "%s/cdi", folder);
    setenv("FAKE_NVML", scenario, 1);
    write_in(proc, "driver/nvidia/version", "580.159.04\n");
    stop_fd = eventfd(0, EFD_CLOEXEC);
    told = 0;
    now = 100 * SECOND;
    gpus = gpus_new(&(struct gpus_options){FAKE_NVML_LIBRARY, proc, stop_fd, count, NULL});
    return 0;
}

static int take_down(void **state)
{
    _cleanup_free_ char *remove = xasprintf("rm -rf %s", folder);
    uint64_t one = 1;

    if (write(stop_fd, &one, sizeof(one)) != sizeof(one))
        return -1;
    gpus_free(gpus);
    close(stop_fd);
    return system(remove);
}

/* Rounds until what was there before has been looked at again. */
static void later(unsigned seconds)
{
    now += (int64_t)seconds * SECOND;
    gpus_round(gpus, 0, now);
}

static void see(const char *text)
{
    world(text);
    later(6);
}

static void assert_state(const char *id, enum gpu_state state, const char *in_text)
{
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    const struct gpu *g = gpu_list_find(l, id);

    assert_non_null(g);
    assert_int_equal(g->state, state);
    if (in_text && (g->why == NULL || strstr(g->why, in_text) == NULL))
        fail_msg("\"%s\" is not in \"%s\"", in_text, g->why ? g->why : "(none)");
}

static void test_what_there_is(void **state)
{
    assert_false(gpus_known(gpus));
    see(TWO "busy GPU-a 40\nprocess GPU-a 4711 811597824\n");
    assert_true(gpus_known(gpus));
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    assert_int_equal(l->n, 2);
    assert_string_equal(l->driver, "580.159.04");
    assert_null(l->message);
    assert_string_equal(l->gpus[0].id, "GPU-a");
    assert_string_equal(l->gpus[0].model, "NVIDIA H100 80GB HBM3");
    assert_int_equal(l->gpus[0].memory_bytes, 85520809984);
    assert_int_equal(l->gpus[0].memory_used, 811597824);
    assert_int_equal((int)l->gpus[0].busy, 40);
    assert_int_equal(l->gpus[1].minor, 1);
    assert_int_equal(told, 1);
    later(6);
    assert_int_equal(told, 1); /* the same is no news */
}

static void test_a_machine_without_one(void **state)
{
    see("fail 9\n");
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    assert_int_equal(l->n, 0);
    assert_non_null(strstr(l->message, "not loaded"));
    assert_true(gpus_known(gpus));
}

static void test_utilisation_is_averaged(void **state)
{
    see(TWO "busy GPU-a 0\n");
    see(TWO "busy GPU-a 100\n");
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    assert_true(l->gpus[0].busy > 1 && l->gpus[0].busy < 20);
    for (int i = 0; i < 60; i++)
        later(6);
    _cleanup_gpu_list_ struct gpu_list *at_last = gpus_now(gpus);
    assert_true(at_last->gpus[0].busy > 95);
}

static void test_parts_are_devices_of_their_own(void **state)
{
    write_in(proc, "driver/nvidia/capabilities/gpu1/mig/gi3/access", "DeviceFileMinor: 30\nDeviceFileMode: 292\n");
    write_in(proc, "driver/nvidia/capabilities/gpu1/mig/gi3/ci0/access", "DeviceFileMinor: 31\n");
    see(TWO "mig MIG-x GPU-b 3 0 10737418240 NVIDIA H100 80GB HBM3 MIG 1g.10gb\n"
            "mig MIG-y GPU-b 4 0 10737418240 NVIDIA H100 80GB HBM3 MIG 1g.10gb\n");
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    assert_int_equal(l->n, 3); /* the GPU that is divided is none any more */
    assert_null(gpu_list_find(l, "GPU-b"));
    const struct gpu *x = gpu_list_find(l, "MIG-x");
    assert_true(x->is_part);
    assert_int_equal(x->gpu_capability, 30);
    assert_int_equal(x->compute_capability, 31);
    assert_true(x->busy < 0);
    _cleanup_arena_ struct arena *a = arena_new();
    struct gpu_parts own;
    gpu_parts_own(a, x, &own);
    assert_int_equal(own.nodes_len, 3);
    assert_string_equal(own.nodes[0], "nvidia1");
    assert_string_equal(own.nodes[1], "nvidia-caps/nvidia-cap30");
    assert_string_equal(own.nodes[2], "nvidia-caps/nvidia-cap31");
    see(TWO); /* divided no more: its parts are not missing */
    _cleanup_gpu_list_ struct gpu_list *again = gpus_now(gpus);
    assert_int_equal(again->n, 2);
}

static void test_one_that_is_lost_and_comes_back(void **state)
{
    see(TWO);
    see(TWO "lost GPU-b\n");
    assert_int_equal(told, 2);
    assert_state("GPU-a", GPU_WELL, NULL);
    assert_state("GPU-b", GPU_LOST, "not there any more");
    see(TWO);
    assert_state("GPU-b", GPU_WELL, NULL);
}

static void test_errors_that_need_a_reset(void **state)
{
    see(TWO);
    see(TWO "xid GPU-a 31\nxid GPU-b 13\n"); /* a program's */
    assert_state("GPU-a", GPU_WELL, NULL);
    see(TWO "xid GPU-a 31\nxid GPU-b 13\nxid GPU-b 79\n");
    assert_state("GPU-a", GPU_WELL, NULL);
    assert_state("GPU-b", GPU_NEEDS_RESET, "Xid 79");
    later(60);
    assert_state("GPU-b", GPU_NEEDS_RESET, "Xid 79"); /* no look takes it back */
    static const unsigned resets[] = {46, 48, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143};
    unsigned known = 0;
    for (size_t i = 0; i < ARRAY_SIZE(resets); i++)
        assert_non_null(xid_needs_reset(resets[i]));
    for (unsigned number = 0; number < 1000; number++)
        known += xid_needs_reset(number) != NULL;
    assert_int_equal(known, ARRAY_SIZE(resets)); /* and no program's: 13, 31, 43, 94, … */
}

static void test_another_driver_begins_anew(void **state)
{
    see(TWO);
    see(TWO "xid GPU-b 79\n");
    see(TWO "lost GPU-a\nxid GPU-b 79\n");
    write_in(proc, "driver/nvidia/version", "590.1\n");
    see("driver 590.1\n" H100);
    _cleanup_gpu_list_ struct gpu_list *l = gpus_now(gpus);
    assert_int_equal(l->n, 1);
    assert_string_equal(l->driver, "590.1");
    assert_state("GPU-a", GPU_WELL, NULL);
}

static void test_a_driver_that_goes(void **state)
{
    see(TWO);
    see("fail 1\n");
    assert_state("GPU-a", GPU_UNREACHABLE, "restarted");
    world("fail 18\n");
    later(12); /* it is looked for again after ten seconds */
    assert_state("GPU-a", GPU_UNREACHABLE, "different versions");
    world(TWO);
    later(12);
    assert_state("GPU-a", GPU_WELL, NULL);
}

static void test_one_that_hangs_is_said(void **state)
{
    see(TWO);
    world(TWO "hang 700\n");
    gpus_start(gpus);
    /* As if so much time had passed for who looks from outside. */
    for (int i = 0; i < 1000 && told < 2; i++) {
        usleep(20000);
        gpus_tick(gpus, clock_monotonic_us() + 60 * SECOND);
    }
    assert_state("GPU-a", GPU_UNREACHABLE, "does not answer");
    world(TWO);
    for (int i = 0; i < 1000 && told < 3; i++)
        usleep(20000);
    assert_state("GPU-a", GPU_WELL, NULL);
}

static void test_who_uses_it(void **state)
{
    uint64_t bytes;
    unsigned processes;

    write_in(proc, "11/cgroup", "0::/libpod_parent/libpod-" ID64 "\n");
    write_in(proc, "12/cgroup", "0::/machine.slice/libpod-" ID64 ".scope/container\n");
    write_in(proc, "13/cgroup", "0::/user.slice\n");
    see(TWO "process GPU-b 11 811597824\nprocess GPU-b 12 100\nprocess GPU-b 13 5\nprocess GPU-a 14 7\n");
    assert_true(gpus_use(gpus, ID64, "GPU-b", &bytes, &processes));
    assert_int_equal(bytes, 811597924);
    assert_int_equal(processes, 2);
    assert_true(gpus_use(gpus, "another", "GPU-b", &bytes, &processes)); /* not that one, but others */
    assert_true(bytes == 0 && processes == 0);
    assert_false(gpus_use(gpus, ID64, "GPU-a", &bytes, &processes)); /* nobody knows */
    assert_int_equal(told, 2);
    see(TWO "process GPU-b 11 811597900\nprocess GPU-b 12 100\n");
    assert_true(gpus_use(gpus, ID64, "GPU-b", &bytes, &processes));
    assert_int_equal(bytes, 811597924); /* every fifteen seconds */
    later(15);
    assert_true(gpus_use(gpus, ID64, "GPU-b", &bytes, &processes));
    assert_int_equal(bytes, 811598000);
    assert_int_equal(told, 2); /* so little is no news */
    world(TWO "process GPU-b 11 911597900\nprocess GPU-b 12 100\n");
    later(15);
    assert_int_equal(told, 3);
    see(TWO);
    later(15);
    assert_false(gpus_use(gpus, ID64, "GPU-b", &bytes, &processes));
}

static void test_containers_of_control_groups(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"0::/docker/" ID64, ID64},
        {"0::/system.slice/docker-" ID64 ".scope", ID64},
        {"12:devices:/libpod_parent/libpod-" ID64 "\n0::/x\n", ID64},
        {"0::/", NULL},
        {"", NULL},
        {"0::/docker/" ID64 "a", NULL}, /* too long */
        {"0::/x" ID64, NULL},           /* part of a word */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[CONTAINER_ID + 1] = "";
        assert_int_equal(container_of_cgroup(cases[i].text, out), cases[i].expected != NULL);
        assert_string_equal(out, cases[i].expected ? cases[i].expected : "");
    }
}

/* --- What a container gets --- */

static struct gpu_list *of_a_driver(void)
{
    struct gpu_list *l = gpu_list_new();
    char id[] = "GPU-a", model[] = "H100";

    write_in(folder, "lib/libnvidia-ml.so.580.1", "");
    write_in(folder, "lib/libcuda.so.580.1", "");
    write_in(folder, "lib/libcuda.so.1", "");           /* of whatever version */
    write_in(folder, "lib/libnvidia-nvvm.so.570.9", ""); /* another driver's */
    l->driver = xstrdup("580.1");
    l->library = xasprintf("%s/lib/libnvidia-ml.so.580.1", folder);
    gpu_list_add(l, &(struct gpu){.id = id, .whole = id, .model = model, .minor = 3});
    return l;
}

static void test_our_own_file(void **state)
{
    _cleanup_gpu_list_ struct gpu_list *l = of_a_driver();
    _cleanup_free_ char *text = cdi_text("0123456789", l);
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *mounts = json_at(root, "containerEdits.mounts"), *one;
    size_t i, max, cuda = 0;

    assert_string_equal(json_str_at(root, "cdiVersion"), "0.5.0");
    assert_string_equal(json_str_at(root, "kind"), "openhydra.io/gpu");
    assert_int_equal(yyjson_arr_size(json_at(root, "devices")), 1);
    yyjson_val *device = yyjson_arr_get_first(json_at(root, "devices"));
    assert_string_equal(json_str_at(device, "name"), "01234567_GPU-a");
    yyjson_val *node = yyjson_arr_get_first(json_at(device, "containerEdits.deviceNodes"));
    assert_string_equal(json_str_at(node, "path"), "/dev/nvidia3");
    assert_int_equal(yyjson_arr_size(json_at(root, "containerEdits.deviceNodes")), 2);
    yyjson_arr_foreach (mounts, i, max, one) {
        const char *from = json_str_at(one, "hostPath"), *to = json_str_at(one, "containerPath");
        assert_null(strstr(from, "nvvm"));
        assert_true(strstr(to, "/opt/nvidia/") == to || strcmp(to, "/usr/bin/nvidia-smi") == 0);
        cuda += strcmp(to, "/opt/nvidia/libcuda.so.1") == 0 && strstr(from, "libcuda.so.580.1") != NULL;
    }
    assert_int_equal(cuda, 1);
    assert_int_equal(cdi_write(own_cdi, "0123456789", l, NULL), 0);
    _cleanup_free_ char *path = xasprintf("%s/openhydra-01234567.json", own_cdi);
    struct stat first, second;
    assert_int_equal(stat(path, &first), 0);
    assert_int_equal(cdi_write(own_cdi, "0123456789", l, NULL), 0);
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* nothing was to be written */
    _cleanup_arena_ struct arena *a = arena_new();
    const char *const folders[] = {own_cdi, NULL};
    assert_null(cdi_find(a, folders, &l->gpus[0])); /* ours is no administrator's */
    cdi_remove(own_cdi, "0123456789");
    assert_false(path_exists(path));
}

static void test_an_administrators_file(void **state)
{
    _cleanup_gpu_list_ struct gpu_list *l = of_a_driver();
    _cleanup_arena_ struct arena *a = arena_new();
    const char *const folders[] = {"/nonexistent", own_cdi, NULL};
    struct gpu *g = &l->gpus[0];

    g->index = 7;
    write_in(own_cdi, "broken.json", "{");
    write_in(own_cdi, ".hidden.json", "{\"kind\":\"nvidia.com/gpu\",\"devices\":[{\"name\":\"7\"}]}");
    write_in(own_cdi, "other.yaml", "cdiVersion: 0.5.0\nkind: school.edu/card\ndevices:\n- name: \"7\"\n");
    assert_null(cdi_find(a, folders, g)); /* a place is the vendor's word alone */
    write_in(own_cdi, "other.yaml", "cdiVersion: 0.5.0\nkind: school.edu/card\ndevices:\n- name: GPU-a\n");
    assert_string_equal(cdi_find(a, folders, g), "school.edu/card=GPU-a");
    write_in(own_cdi, "other.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: \"7\"\n");
    assert_string_equal(cdi_find(a, folders, g), "nvidia.com/gpu=7");
    g->is_part = true;
    g->part = 2;
    assert_null(cdi_find(a, folders, g));
    write_in(own_cdi, "other.yaml", "kind: nvidia.com/gpu\ndevices:\n- name: \"7:2\"\n");
    assert_string_equal(cdi_find(a, folders, g), "nvidia.com/gpu=7:2");
}

static void test_files_that_are_none(void **state)
{
    static const char *const texts[] = {
        "", "[]", "{}", "{\"kind\":7}", "{\"kind\":\"gpu\"}", "{\"kind\":\"a/b c\"}", "{\"kind\":\"/x\"}",
        "kind: a/b/c\n", "kind: \"a/b\\n\"\n", "\x01",
    };
    static const char odd[] =
        "{\"kind\":\"a.b/c\",\"devices\":[1,{},{\"name\":\"x=y\"},{\"name\":\"\"},{\"name\":\"ok\"}]}";
    _cleanup_arena_ struct arena *a = arena_new();
    struct cdi_file f;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_error_ struct error *err = NULL;
        if (cdi_read(a, str_from(texts[i]), &f, &err) == 0)
            fail_msg("%s", texts[i]);
        assert_non_null(err);
    }
    assert_int_equal(cdi_read(a, str_from(odd), &f, NULL), 0);
    assert_int_equal(f.devices_len, 1);
    assert_string_equal(f.devices[0], "ok");
}

static void test_nodes_that_are_not_there(void **state)
{
    _cleanup_gpu_list_ struct gpu_list *l = of_a_driver();
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *err = NULL;
    struct gpu_parts shared;

    gpu_parts_shared(a, l, &shared);
    write_in(dev, "nvidiactl", "");
    assert_int_equal(gpu_parts_check(&shared, dev, &err), -1);
    assert_non_null(strstr(err->message, "nvidia-uvm"));
    write_in(dev, "nvidia-uvm", "");
    assert_int_equal(gpu_parts_check(&shared, dev, NULL), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_there_is),
        CASE(test_a_machine_without_one),
        CASE(test_utilisation_is_averaged),
        CASE(test_parts_are_devices_of_their_own),
        CASE(test_one_that_is_lost_and_comes_back),
        CASE(test_errors_that_need_a_reset),
        CASE(test_another_driver_begins_anew),
        CASE(test_a_driver_that_goes),
        CASE(test_one_that_hangs_is_said),
        CASE(test_who_uses_it),
        CASE(test_containers_of_control_groups),
        CASE(test_our_own_file),
        CASE(test_an_administrators_file),
        CASE(test_files_that_are_none),
        CASE(test_nodes_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
