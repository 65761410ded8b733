/* What goes to an engine and what comes back, without one. */
#include "unit/client/peer.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/body.h"
#include "runner/engine/conmon.h"
#include "runner/engine/container.h"
#include "runner/engine/engine.h"
#include "runner/engine/facts.h"
#include "runner/engine/find.h"
#include "runner/engine/guard.h"
#include "runner/engine/logs.h"
#include "runner/engine/process.h"
#include "runner/engine/service.h"

/* --- the log's stream format ------------------------------------------------------------------------------------ */

static int collect(void *arg, struct str text)
{
    buffer_add(arg, text);
    return 0;
}

/* In pieces of every size. */
static void demultiplexed(const char *in, size_t n, const char *expected)
{
    for (size_t piece = 1; piece <= n; piece++) {
        struct demultiplexer d = {0};
        _cleanup_buffer_ struct buffer out = BUFFER_MAX(1000);
        for (size_t at = 0; at < n; at += piece)
            assert_int_equal(demultiplex(&d, (struct str){in + at, at + piece > n ? n - at : piece}, collect, &out), 0);
        assert_string_equal(out.p ? out.p : "", expected);
    }
}

static void test_demultiplex(void **state)
{
    static const char two[] = "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\2de";
    static const char plain[] = "plain text of a terminal";

    demultiplexed(two, sizeof(two) - 1, "abcde");
    demultiplexed(plain, sizeof(plain) - 1, "plain text of a terminal");
    demultiplexed("\1\0\0\0\0\0", 6, ""); /* cut off */
}

static int refuse(void *arg, struct str text)
{
    return -1;
}

static void test_demultiplex_ends(void **state)
{
    struct demultiplexer d = {0};
    assert_int_equal(demultiplex(&d, (struct str){"\1\0\0\0\0\0\0\1a", 9}, refuse, NULL), -1);
}

/* --- what a container is made from ------------------------------------------------------------------------------ */

/* What every specification says. */
#define SOMEBODYS .device = "dev", .instance = "u", .device_uid = "u", .owner = "ada", .sandbox = "s"

static yyjson_doc *body(bool libpod, bool namespaces, bool limits, uint32_t run_as)
{
    const struct prepared prepared = {.mounts = {{"/host/s", "/run/open-hydra", false, false},
                                                 {"/host/data", "/data", true, false},
                                                 {"/host/home", "/home/student", false, true}},
                                      .mounts_len = 3,
                                      .host_id = 655360,
                                      .host_id_size = 65536,
                                      .mapped = namespaces,
                                      .log_folder = "/host/log"};
    static const struct runtime_variable variables[] = {{"A", "1"}, {"JUPYTER_TOKEN", "t"}};
    static const char *const command[] = {"/start"}, *const arguments[] = {"-x", "y"};
    static const struct runtime_scratch scratch[] = {{"/srv/a", 1 << 20}, {"/tmp", 256 << 20}, {"/dev/shm", 64 << 20}};
    struct engine e = {.libpod = libpod, .installation = xstrdup("here"), .directory = xstrdup("/run/here/engine")};
    struct runtime_spec s = {.device = "dev",
                             .instance = "i-1",
                             .device_uid = "u-1",
                             .owner = "ada",
                             .sandbox = "plain",
                             .generation = 3,
                             .image = "i:1",
                             .command = command,
                             .command_len = 1,
                             .arguments = arguments,
                             .arguments_len = 2,
                             .variables = variables,
                             .variables_len = 2,
                             .run_as = run_as,
                             .memory_bytes = 1 << 20,
                             .scratch = scratch,
                             .scratch_len = 3,
                             .cpu_milli = 1500,
                             .pids = 99,
                             .stop_seconds = 3};

    e.limits = limits;
    _cleanup_json_mut_ yyjson_mut_doc *doc = engine_body(&e, &s, &prepared);
    free(e.installation);
    free(e.directory);
    return yyjson_mut_doc_imut_copy(doc, NULL);
}

/* Whether an array holds exactly these, in this order. */
static void holds(yyjson_val *arr, const char *const *texts, size_t n)
{
    assert_int_equal(yyjson_arr_size(arr), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(yyjson_get_str(yyjson_arr_get(arr, i)), texts[i]);
}
#define HOLDS(arr, ...)                                                                                                \
    do {                                                                                                               \
        static const char *const texts[] = {__VA_ARGS__};                                                              \
        holds(arr, texts, ARRAY_SIZE(texts));                                                                          \
    } while (0)

static void mount_is(yyjson_val *m, const char *type, const char *source, const char *target)
{
    assert_string_equal(json_str_at(m, "type"), type);
    assert_string_equal(json_str_at(m, "source"), source);
    assert_string_equal(json_str_at(m, "destination"), target);
}

static void test_podman_mounts(void **state)
{
    _cleanup_json_ yyjson_doc *doc = body(true, true, true, 1000);
    yyjson_val *mounts = json_at(yyjson_doc_get_root(doc), "mounts");

    mount_is(yyjson_arr_get(mounts, 0), "bind", "/host/s", "/run/open-hydra");
    HOLDS(json_at(yyjson_arr_get(mounts, 0), "options"), "rbind", "rprivate", "nosuid", "nodev", "noexec", "rw");
    mount_is(yyjson_arr_get(mounts, 1), "bind", "/host/data", "/data");
    HOLDS(json_at(yyjson_arr_get(mounts, 1), "options"), "rbind", "rprivate", "nosuid", "nodev", "noexec", "ro");
    mount_is(yyjson_arr_get(mounts, 2), "bind", "/host/home", "/home/student");
    HOLDS(json_at(yyjson_arr_get(mounts, 2), "options"), "rbind", "rprivate", "nosuid", "nodev", "rw");
    mount_is(yyjson_arr_get(mounts, 3), "tmpfs", "tmpfs", "/srv/a");
    HOLDS(json_at(yyjson_arr_get(mounts, 3), "options"), "size=1048576", "mode=1777", "nosuid", "nodev");
    mount_is(yyjson_arr_get(mounts, 4), "tmpfs", "tmpfs", "/tmp");
    HOLDS(json_at(yyjson_arr_get(mounts, 4), "options"), "size=268435456", "mode=1777", "nosuid", "nodev");
    mount_is(yyjson_arr_get(mounts, 5), "tmpfs", "tmpfs", "/dev/shm");
    HOLDS(json_at(yyjson_arr_get(mounts, 5), "options"), "size=67108864", "mode=1777", "nosuid", "nodev", "noexec");
}

static void test_podman_hardening(void **state)
{
    _cleanup_json_ yyjson_doc *doc = body(true, true, true, 1000);
    yyjson_val *r = yyjson_doc_get_root(doc);

    HOLDS(json_at(r, "cap_drop"), "all");
    HOLDS(json_at(r, "mask"), "/sys/dev/block", "/proc/cmdline");
    HOLDS(json_at(r, "entrypoint"), "/start");
    HOLDS(json_at(r, "command"), "-x", "y");
    assert_false(json_bool_at(r, "read_write_tmpfs", true));
    assert_string_equal(json_str_at(r, "base_hosts_file"), "none");
    assert_string_equal(json_str_at(r, "userns.nsmode"), "private");
    assert_false(json_bool_at(r, "idmappings.HostUIDMapping", true) ||
                 json_bool_at(r, "idmappings.HostGIDMapping", true));
    assert_int_equal(yyjson_arr_size(json_at(r, "idmappings.UIDMap")), 1);
    yyjson_val *map = yyjson_arr_get_first(json_at(r, "idmappings.GIDMap"));
    assert_true(json_int_at(map, "host_id", 0) == 655360 && json_int_at(map, "container_id", 9) == 0 &&
                json_int_at(map, "size", 0) == 65536);
    assert_string_equal(json_str_at(r, "restart_policy"), "no");
    assert_string_equal(json_str_at(r, "image_volume_mode"), "ignore");
    assert_string_equal(json_str_at(r, "systemd"), "false");
    assert_int_equal(json_int_at(r, "stop_timeout", 0), 3);
    assert_string_equal(json_str_at(r, "log_configuration.driver"), "k8s-file");
    assert_int_equal(json_int_at(r, "log_configuration.size", 0), 1 << 20);
    assert_string_equal(json_str_at(r, "log_configuration.path"), "/host/log/log");
    assert_string_equal(json_str_at(r, "hostname"), "ada");
    assert_string_equal(json_str_at(r, "image"), "i:1");
    yyjson_val *labels = json_at(r, "labels");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(labels, LABEL_INSTALLATION)), "here");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(labels, LABEL_DEVICE)), "dev");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(labels, LABEL_OWNER)), "ada");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(labels, LABEL_GENERATION)), "3");
    assert_null(yyjson_obj_get(labels, LABEL_NETWORK));
}

/* A share can be given where the process is alone in its group. */
static void test_whose_group_it_is(void **state)
{
    static const char *const others[] = {"",
                                         "0::/\n",
                                         "0::/libpod_parent/conmon\n",
                                         "0::/machine.slice/libpod-abc.scope\n",
                                         "0::/system.slice/open-hydra-runner.service\n",
                                         "1:cpu:/machine.slice/libpod-conmon-a.scope\n",
                                         "0::/machine.slice/libpod-conmon-a.scope/below\n"};
    _cleanup_free_ char *own = engine_conmon_scope("12:pids:/x\n0::/machine.slice/libpod-conmon-abc.scope\n");

    assert_string_equal(own, "/sys/fs/cgroup/machine.slice/libpod-conmon-abc.scope");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_null(engine_conmon_scope(others[i]));
}

/* The kernel takes no quota below a thousandth of a second. */
static void test_quotas(void **state)
{
    static const struct {
        uint64_t milli, quota;
    } cases[] = {{1, 1000}, {9, 1000}, {10, 1000}, {11, 1100}, {1000, 100000}, {64000, 6400000}};

    for (int libpod = 0; libpod < 2; libpod++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            struct engine e = {
                .libpod = libpod, .limits = true, .installation = (char[]){"i"}, .directory = (char[]){"/d"}};
            const struct runtime_spec s = {SOMEBODYS, .image = "i", .cpu_milli = cases[i].milli};
            const struct prepared prepared = {0};
            _cleanup_json_mut_ yyjson_mut_doc *mutable = engine_body(&e, &s, &prepared);
            _cleanup_json_ yyjson_doc *doc = yyjson_mut_doc_imut_copy(mutable, NULL);
            yyjson_val *r = yyjson_doc_get_root(doc);
            assert_int_equal(json_int_at(r, libpod ? "resource_limits.cpu.quota" : "HostConfig.CpuQuota", 0),
                             cases[i].quota);
            assert_int_equal(json_int_at(r, libpod ? "resource_limits.cpu.period" : "HostConfig.CpuPeriod", 0), 100000);
        }
}

static void test_network_of_the_body(void **state)
{
    static const char *const allowed[] = {"10.0.0.0/8", "192.168.1.0/24"};
    struct engine e = {.libpod = true, .installation = (char[]){"i"}, .directory = (char[]){"/d"}};
    struct runtime_spec s = {SOMEBODYS, .image = "i", .network = true};
    const struct prepared prepared = {0};

    for (size_t n = 0; n < 3; n++) {
        static const char *const labels[] = {"", "10.0.0.0/8", "10.0.0.0/8 192.168.1.0/24"};
        s.network_allow = allowed;
        s.network_allow_len = n;
        _cleanup_json_mut_ yyjson_mut_doc *mutable = engine_body(&e, &s, &prepared);
        _cleanup_json_ yyjson_doc *doc = yyjson_mut_doc_imut_copy(mutable, NULL);
        yyjson_val *r = yyjson_doc_get_root(doc);
        assert_string_equal(json_str_at(r, "netns.nsmode"), "bridge");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "labels"), LABEL_NETWORK)), labels[n]);
    }
}

static void test_podman_body(void **state)
{
    _cleanup_json_ yyjson_doc *doc = body(true, true, true, 1000);
    yyjson_val *r = yyjson_doc_get_root(doc);

    assert_string_equal(json_str_at(r, "name"), "open-hydra-i-1");
    assert_string_equal(json_str_at(r, "user"), "1000:1000");
    assert_true(json_bool_at(r, "read_only_filesystem", false) && json_bool_at(r, "no_new_privileges", false));
    assert_string_equal(json_str_at(r, "netns.nsmode"), "none");
    assert_string_equal(yyjson_get_str(yyjson_arr_get_first(json_at(r, "cap_drop"))), "all");
    yyjson_val *map = yyjson_arr_get_first(json_at(r, "idmappings.UIDMap"));
    assert_int_equal(json_int_at(map, "host_id", 0), 655360);
    assert_int_equal(json_int_at(map, "container_id", 9), 0);
    assert_int_equal(json_int_at(map, "size", 0), 65536);
    assert_int_equal(json_int_at(r, "resource_limits.memory.limit", 0), 1 << 20);
    assert_int_equal(json_int_at(r, "resource_limits.memory.swap", 0), 1 << 20);
    assert_int_equal(json_int_at(r, "resource_limits.cpu.quota", 0), 150000);
    assert_int_equal(json_int_at(r, "resource_limits.pids.limit", 0), 99);
    assert_int_equal(yyjson_arr_size(json_at(r, "mounts")), 6); /* its own three, what is memory */
    assert_string_equal(json_str_at(r, "env.JUPYTER_TOKEN"), "t");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "labels"), LABEL_UID)), "u-1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "labels"), LABEL_INSTANCE)), "i-1");
    assert_null(strstr(json_str_at(r, "name"), "ada"));
    assert_string_equal(json_str_at(r, "seccomp_profile_path"), "/run/here/engine/seccomp.json");
}

/* --- GPUs in it --- */

static const char *const gpu_ids[] = {"GPU-a", "GPU-b"};
static const struct runtime_variable loader_variables[] = {
    {"LD_LIBRARY_PATH", "/theirs"}, {"GCONV_PATH", "/theirs"}, {"A", "1"}};
static const char *gpu_names[] = {"openhydra.io/gpu=i_GPU-a", "openhydra.io/gpu=i_GPU-b"};
static const char *gpu_nodes[] = {"/dev/nvidia0"};
static const struct gpu_file gpu_files[] = {{"/l/libcuda.so.1", "/opt/nvidia/libcuda.so.1"}};

static yyjson_doc *gpu_body(bool libpod, const struct container_gpus *gpus)
{
    struct engine e = {.libpod = libpod, .installation = (char[]){"i"}, .directory = (char[]){"/d"}};
    const struct runtime_spec s = {
        SOMEBODYS, .image = "i", .gpus = gpu_ids, .gpus_len = 2, .variables = loader_variables, .variables_len = 3};
    const struct prepared prepared = {.gpus = *gpus};
    _cleanup_json_mut_ yyjson_mut_doc *mutable = engine_body(&e, &s, &prepared);
    return yyjson_mut_doc_imut_copy(mutable, NULL);
}

static void test_gpus_by_name(void **state)
{
    _cleanup_json_ yyjson_doc *ours =
        gpu_body(true, &(struct container_gpus){.names = gpu_names, .names_len = 2, .libraries = "/opt/nvidia"});
    _cleanup_json_ yyjson_doc *administrators =
        gpu_body(true, &(struct container_gpus){.names = gpu_names, .names_len = 1});
    yyjson_val *r = yyjson_doc_get_root(ours), *list = json_at(r, "devices");

    assert_int_equal(yyjson_arr_size(list), 2);
    assert_string_equal(json_str_at(yyjson_arr_get(list, 1), "path"), "openhydra.io/gpu=i_GPU-b");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "labels"), LABEL_GPUS)), "GPU-a,GPU-b");
    assert_string_equal(json_str_at(r, "env.LD_LIBRARY_PATH"), "/opt/nvidia");
    assert_string_equal(json_str_at(r, "env.NVIDIA_VISIBLE_DEVICES"), "void");
    assert_string_equal(json_str_at(r, "env.A"), "1");
    assert_null(json_at(r, "env.GCONV_PATH"));
    HOLDS(json_at(r, "unsetenv"), "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH");
    r = yyjson_doc_get_root(administrators);
    assert_null(json_at(r, "env.LD_LIBRARY_PATH"));
}

static void test_gpus_one_by_one(void **state)
{
    const struct container_gpus gpus = {
        .nodes = gpu_nodes, .nodes_len = 1, .files = gpu_files, .files_len = 1, .libraries = "/opt/nvidia"};
    _cleanup_json_ yyjson_doc *podman = gpu_body(true, &gpus), *docker = gpu_body(false, &gpus);
    yyjson_val *r = yyjson_doc_get_root(podman), *file;

    assert_string_equal(json_str_at(yyjson_arr_get_first(json_at(r, "devices")), "path"),
                        "/dev/nvidia0:/dev/nvidia0:rw");
    file = yyjson_arr_get_first(json_at(r, "mounts"));
    mount_is(file, "bind", "/l/libcuda.so.1", "/opt/nvidia/libcuda.so.1");
    HOLDS(json_at(file, "options"), "bind", "rprivate", "nosuid", "nodev", "ro");
    r = yyjson_doc_get_root(docker);
    yyjson_val *node = yyjson_arr_get_first(json_at(r, "HostConfig.Devices"));
    assert_string_equal(json_str_at(node, "PathOnHost"), "/dev/nvidia0");
    assert_string_equal(json_str_at(node, "PathInContainer"), "/dev/nvidia0");
    assert_string_equal(json_str_at(node, "CgroupPermissions"), "rw");
    assert_true(json_bool_at(yyjson_arr_get_first(json_at(r, "HostConfig.Mounts")), "ReadOnly", false));
    HOLDS(json_at(r, "Env"), "LD_PRELOAD=", "LD_AUDIT=", "GCONV_PATH=", "NVIDIA_VISIBLE_DEVICES=void", "A=1",
          "LD_LIBRARY_PATH=/opt/nvidia");
}

static void test_podman_body_without_root(void **state)
{
    _cleanup_json_ yyjson_doc *doc = body(true, false, false, 1000);
    yyjson_val *r = yyjson_doc_get_root(doc);

    assert_null(json_at(r, "idmappings"));
    assert_null(json_at(r, "resource_limits"));
}

static void test_docker_body_without_limits(void **state)
{
    static const char *const absent[] = {"HostConfig.Memory", "HostConfig.MemorySwap", "HostConfig.CpuQuota",
                                         "HostConfig.PidsLimit"};
    _cleanup_json_ yyjson_doc *doc = body(false, false, false, 1000);

    for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
        assert_null(json_at(yyjson_doc_get_root(doc), absent[i]));
}

static void test_docker_body(void **state)
{
    _cleanup_json_ yyjson_doc *doc = body(false, false, true, 1000);
    yyjson_val *r = yyjson_doc_get_root(doc);

    assert_string_equal(json_str_at(r, "User"), "656360:656360"); /* the id that the owner's files have */
    assert_true(json_bool_at(r, "HostConfig.ReadonlyRootfs", false));
    assert_string_equal(json_str_at(r, "HostConfig.NetworkMode"), "none");
    assert_int_equal(json_int_at(r, "HostConfig.PidsLimit", 0), 99);
    assert_int_equal(json_int_at(r, "HostConfig.MemorySwap", 0), 1 << 20);
    assert_string_equal(yyjson_get_str(yyjson_arr_get_first(json_at(r, "Env"))), "NVIDIA_VISIBLE_DEVICES=void");
    assert_string_equal(yyjson_get_str(yyjson_arr_get(json_at(r, "Env"), 1)), "A=1");
    yyjson_val *second = yyjson_arr_get(json_at(r, "HostConfig.Mounts"), 1);
    assert_string_equal(json_str_at(second, "Source"), "/host/data");
    assert_false(json_bool_at(second, "ReadOnly", true)); /* the source is; a remount would take its other flags away */
    assert_string_equal(json_str_at(second, "Type"), "bind");
    assert_string_equal(json_str_at(second, "Target"), "/data");
    assert_string_equal(json_str_at(second, "BindOptions.Propagation"), "rprivate");
    HOLDS(json_at(r, "HostConfig.CapDrop"), "ALL");
    HOLDS(json_at(r, "Entrypoint"), "/start");
    HOLDS(json_at(r, "Cmd"), "-x", "y");
    assert_string_equal(json_str_at(r, "HostConfig.UsernsMode"), "host");
    assert_int_equal(json_int_at(r, "HostConfig.Memory", 0), 1 << 20);
    assert_int_equal(json_int_at(r, "HostConfig.CpuQuota", 0), 150000);
    assert_int_equal(json_int_at(r, "HostConfig.CpuPeriod", 0), 100000);
    assert_int_equal(json_int_at(r, "HostConfig.ShmSize", 0), 64 << 20);
    assert_string_equal(json_str_at(r, "HostConfig.RestartPolicy.Name"), "no");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "HostConfig.Tmpfs"), "/tmp")),
                        "rw,nosuid,nodev,exec,mode=1777,size=268435456");
    assert_int_equal(yyjson_obj_size(json_at(r, "HostConfig.Tmpfs")), 2); /* /dev/shm has its own key */
    assert_int_equal(json_int_at(r, "StopTimeout", 0), 3);
    assert_string_equal(json_str_at(r, "HostConfig.LogConfig.Type"), "json-file");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "HostConfig.LogConfig.Config"), "max-size")), "1m");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "HostConfig.LogConfig.Config"), "max-file")), "1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "Labels"), LABEL_UID)), "u-1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "Labels"), LABEL_INSTANCE)), "i-1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(json_at(r, "Labels"), LABEL_INSTALLATION)), "here");
    yyjson_val *security = json_at(r, "HostConfig.SecurityOpt");
    assert_string_equal(yyjson_get_str(yyjson_arr_get(security, 0)), "no-new-privileges");
    const char *profile = yyjson_get_str(yyjson_arr_get(security, 1));
    assert_true(starts_with(profile, "seccomp={"));
    _cleanup_json_ yyjson_doc *rules = json_parse(str_from(strchr(profile, '{')), NULL);
    assert_string_equal(json_str_at(yyjson_doc_get_root(rules), "defaultAction"), "SCMP_ACT_ERRNO");
}

/* --- the first process ------------------------------------------------------------------------------------------ */

/* Whose ids are not the container's is another by now; where nothing says which they are, nobody is killed for it. */
static void test_the_process_of_a_container(void **state)
{
    static const struct {
        const char *said;
        bool seen, own;
    } cases[] = {
        {"\"HostConfig\":{\"IDMappings\":{\"UidMap\":[\"0:%u:1\"]}}", true, true},
        {"\"HostConfig\":{\"IDMappings\":{\"UidMap\":[\"0:%u1:65536\"]}}", false, false},
        {"\"HostConfig\":{\"IDMappings\":{\"UidMap\":[\"nonsense%u\"]}}", true, false},
        {"\"Config\":{\"User\":\"%u:7\"}", true, true},
        {"\"Config\":{\"User\":\"%u1:7\"}", false, false},
        {"\"Config\":{\"User\":\"u%u\"}", true, false},
        {"\"X\":%u", true, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const unsigned id = geteuid();
        _cleanup_buffer_ struct buffer text = BUFFER_MAX(512);
        buffer_printf(&text, "{\"State\":{\"Pid\":%d},", getpid());
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buffer_printf(&text, cases[i].said, id);
#pragma GCC diagnostic pop
        buffer_puts(&text, "}");
        _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&text), NULL);
        assert_non_null(doc);
        struct runtime_process p = process_of_container(yyjson_doc_get_root(doc));
        assert_int_equal(p.pid, getpid());
        assert_true((p.fd >= 0) == cases[i].seen && p.own == cases[i].own);
        if (p.fd >= 0)
            close(p.fd);
    }
}

/* --- a service of our own --------------------------------------------------------------------------------------- */

static void test_service_conf(void **state)
{
    _cleanup_free_ char *text = engine_service_conf();

    assert_true(starts_with(text, "[containers]\n"));
    assert_non_null(strstr(text, "\n[engine]\n"));
    assert_non_null(strstr(text, "\nbase_hosts_file = \"none\"\n"));
    assert_non_null(strstr(text, "\nhost_containers_internal_ip = \"127.0.0.1\"\n"));
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static const struct config config;
static const struct runtime_port port = {.name = PORT_MAIN, .socket = "/run/open-hydra/s.sock", .ready = "/"};
static const struct prepared prepared = {.sockets = {"/host/s/s.sock"}};
#define PREPARED .ports = &port, .ports_len = 1, .prepared = &prepared

struct setup {
    struct peer peer;
    int stop_fd;
    struct runtime *r;
};

static void no_change(void *arg, const char *device)
{
}

static void no_news(void *arg, bool up, const char *message)
{
}

#define INFO OK_JSON("{\"host\":{\"cgroupControllers\":[\"memory\",\"cpu\"],\"security\":{\"rootless\":false}}}")
#define BEGINNING                                                                                                      \
    {"GET /_ping", OK_JSON("OK"), NULL, false}, {"GET /v4.0.0/libpod/_ping", OK_JSON("OK"), NULL, false},              \
        {"GET /v4.0.0/libpod/info", INFO, NULL, false},                                                                \
    {                                                                                                                  \
        "GET /v1.41/events?since=", NULL, NULL, true                                                                   \
    }

static void begin(struct setup *s, const struct line *script, size_t n)
{
    struct runtime_facts f;

    peer_start(&s->peer, script, n);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->r = engine_new(&(struct engine_options){.socket = s->peer.path,
                                               .directory = s->peer.directory,
                                               .config = &config,
                                               .places = s->peer.directory,
                                               .installation = "i",
                                               .stop_fd = s->stop_fd});
    s->r->ops->start(s->r, &(struct runtime_listener){.changed = no_change, .available = no_news});
    peer_wait(&s->peer, 4);
    assert_int_equal(s->r->ops->facts(s->r, &f, NULL), 0);
    assert_false(f.limits); /* pids is missing */
    assert_non_null(f.limits_why);
}

static void finish(struct setup *s)
{
    uint64_t one = 1;
    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
    s->r->ops->free(s->r);
    close(s->stop_fd);
    peer_end(&s->peer);
}

#define WITHOUT_ROOT(map) OK_JSON("{\"host\":{\"idMappings\":{\"uidmap\":[" map "]},\"security\":{\"rootless\":true}}}")
#define MAP "{\"container_id\":0,\"host_id\":1001,\"size\":1},{\"container_id\":1,\"host_id\":100000,\"size\":4000}"
#define ALONE "{\"container_id\":0,\"host_id\":1001,\"size\":1}"

/* Whether an engine with that answer to «info» is taken, with or without root here. */
static bool is_taken(const char *info, bool rootless, struct engine_facts *facts, struct error **err)
{
    const struct line script[] = {{"GET /_ping", OK_JSON("OK"), NULL, false},
                                  {"GET /v4.0.0/libpod/_ping", OK_JSON("OK"), NULL, false},
                                  {"GET /v4.0.0/libpod/info", info, NULL, false}};
    struct peer peer;

    peer_start(&peer, script, ARRAY_SIZE(script));
    struct runtime *r = engine_new(&(struct engine_options){.socket = peer.path,
                                                            .directory = peer.directory,
                                                            .config = &config,
                                                            .places = peer.directory,
                                                            .installation = "i",
                                                            .rootless = rootless,
                                                            .stop_fd = -1});
    bool taken = engine_connect(engine_of(r), err) == 0;
    assert_int_equal(engine_get_facts(engine_of(r), facts, NULL) == 0, taken);
    r->ops->free(r);
    peer_end(&peer);
    return taken;
}

/* What is mounted for an environment must be what the engine finds there, and nobody inside may be who started it. */
static void test_an_engine_of_the_other_side_is_refused(void **state)
{
    struct engine_facts f = {0};
    struct error *err = NULL;

    assert_true(is_taken(INFO, false, &f, NULL));
    assert_true(f.seen.user_namespace && !f.rootless && f.seen.owner_ids);
    assert_true(is_taken(WITHOUT_ROOT(MAP), true, &f, NULL));
    assert_true(!f.seen.user_namespace && f.rootless && f.seen.user_namespace_why && !f.seen.owner_ids);
    assert_int_equal(f.subordinate_ids, 4000);

    assert_false(is_taken(WITHOUT_ROOT(ALONE), true, &f, &err));
    assert_non_null(strstr(err->message, "/etc/subuid"));
    error_free(err);
    err = NULL;
    assert_false(is_taken(INFO, true, &f, &err));
    assert_non_null(strstr(err->message, "another engine"));
    error_free(err);
    err = NULL;
    assert_false(is_taken(WITHOUT_ROOT(MAP), false, &f, &err));
    assert_non_null(strstr(err->message, "as its user"));
    error_free(err);
}

#define ALL_OF_THEM                                                                                                    \
    OK_JSON("{\"host\":{\"cgroupControllers\":[\"memory\",\"cpu\",\"pids\"],\"security\":{\"rootless\":false}}}")
#define COMES_BACK(info)                                                                                               \
    {"GET /v1.41/containers/json?limit=1", OK_JSON("[]"), NULL, false},                                                \
        {"GET /v4.0.0/libpod/_ping", OK_JSON("OK"), NULL, false},                                                      \
    {                                                                                                                  \
        "GET /v4.0.0/libpod/info", info, NULL, false                                                                   \
    }

static void available(void *arg, bool up, const char *message)
{
    struct buffer *said = arg;
    buffer_puts(said, up ? "up " : strstr(message, "as its user") ? "other side " : "down ");
}

/* An engine that was set up anew meanwhile is looked at anew, and may not do any more. */
static void test_an_engine_that_comes_back_is_looked_at_again(void **state)
{
    static const struct line script[] = {
        {"GET /_ping", OK_JSON("OK"), NULL, false},
        {"GET /v4.0.0/libpod/_ping", OK_JSON("OK"), NULL, false},
        {"GET /v4.0.0/libpod/info", INFO, NULL, false},
        {"GET /v1.41/events?since=", OK_JSON(""), NULL, false},
        COMES_BACK(WITHOUT_ROOT(MAP)),
        COMES_BACK(ALL_OF_THEM),
        {"GET /v1.41/events?since=", NULL, NULL, true},
    };
    struct buffer said = BUFFER_MAX(256);
    struct engine_facts f;
    struct setup s;

    peer_start(&s.peer, script, ARRAY_SIZE(script));
    s.stop_fd = eventfd(0, EFD_CLOEXEC);
    s.r = engine_new(&(struct engine_options){.socket = s.peer.path,
                                              .directory = s.peer.directory,
                                              .config = &config,
                                              .places = s.peer.directory,
                                              .installation = "i",
                                              .stop_fd = s.stop_fd});
    s.r->ops->start(s.r, &(struct runtime_listener){.changed = no_change, .available = available, .arg = &said});
    peer_wait(&s.peer, ARRAY_SIZE(script));
    assert_int_equal(engine_get_facts(engine_of(s.r), &f, NULL), 0);
    assert_true(f.seen.limits && !f.seen.limits_why && !f.rootless);
    finish(&s);
    assert_string_equal(said.p, "up other side up ");
    buffer_free(&said);
}

#define BUSY "HTTP/1.1 500 X\r\nConnection: close\r\n\r\n{\"cause\":\"device or resource busy\",\"message\":\"busy\"}"
#define GONE "HTTP/1.1 404 X\r\nConnection: close\r\n\r\n{\"message\":\"no such container\"}"
#define DONE "HTTP/1.1 204 X\r\nConnection: close\r\n\r\n"

#define LABELS(installation, uid)                                                                                      \
    "{\"Id\":\"abc\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Labels\":{\"" LABEL_INSTALLATION                 \
    "\":\"" installation "\",\"" LABEL_UID "\":\"" uid "\",\"" LABEL_DEVICE "\":\"dev\"}}}"
#define OURS OK_JSON(LABELS("i", "u"))
#define LOOK(answer)                                                                                                   \
    {                                                                                                                  \
        "GET /v4.0.0/libpod/containers/open-hydra-u/json", answer, NULL, false                                         \
    }

/* It says «busy» and has removed it all the same; or is busy once and not the next time. */
static void test_busy_removal(void **state)
{
    static const struct line script[] = {
        BEGINNING,
        LOOK(OURS),
        {"POST /v1.41/containers/abc/stop?t=2", DONE, NULL, false},
        {"DELETE /v1.41/containers/abc?force=true", BUSY, NULL, false},
        {"GET /v1.41/containers/abc/json", GONE, NULL, false},
        LOOK(OURS),
        {"POST /v1.41/containers/abc/stop?t=2", GONE, NULL, false},
        {"DELETE /v1.41/containers/abc?force=true", BUSY, NULL, false},
        {"GET /v1.41/containers/abc/json", OK_JSON("{}"), NULL, false},
        {"DELETE /v1.41/containers/abc?force=true", DONE, NULL, false},
        LOOK(GONE),
    };
    struct setup s;

    begin(&s, script, ARRAY_SIZE(script));
    for (int i = 0; i < 3; i++)
        assert_int_equal(s.r->ops->remove(s.r, "u", 2, NULL), 0);
    finish(&s);
}

/* A container that has the name alone is not looked into, read, started or ended: nothing is asked but whose it is. */
static void test_what_has_only_the_name_is_left_alone(void **state)
{
    static const char *const answers[] = {OK_JSON(LABELS("i", "other")), OK_JSON(LABELS("another", "u")),
                                          OK_JSON("{\"Id\":\"abc\",\"Config\":{\"Labels\":null}}")};
    const struct runtime_spec spec = {SOMEBODYS, PREPARED, .image = "i"};
    const struct runtime_log_options log = {.stop_fd = -1};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        const struct line script[] = {BEGINNING,        LOOK(answers[i]), LOOK(answers[i]),
                                      LOOK(answers[i]), LOOK(answers[i]), LOOK(answers[i])};
        struct setup s;
        begin(&s, script, ARRAY_SIZE(script));
        for (int what = 0; what < 4; what++) {
            _cleanup_error_ struct error *err = NULL;
            _cleanup_instance_ struct instance in = {0};
            struct runtime_usage usage;
            int rc = what == 0   ? s.r->ops->inspect(s.r, "u", &in, &err)
                     : what == 1 ? s.r->ops->usage(s.r, "u", &usage, &err)
                     : what == 2 ? s.r->ops->logs(s.r, "u", &log, collect, NULL, &err)
                                 : s.r->ops->ensure(s.r, &spec, &in, &err);
            assert_true(rc < 0 && err->reason == REASON_CONFLICT);
        }
        assert_int_equal(s.r->ops->remove(s.r, "u", 2, NULL), 0);
        finish(&s);
    }
}

#define DONE_ALREADY "HTTP/1.1 304 X\r\nConnection: close\r\n\r\n"
#define CREATED "HTTP/1.1 201 X\r\nConnection: close\r\n\r\n{}"
#define INITIALIZED(pid)                                                                                               \
    OK_JSON("{\"Id\":\"abc\",\"State\":{\"Status\":\"initialized\",\"Pid\":" pid                                       \
            "},\"Config\":{\"Labels\":{\"" LABEL_INSTALLATION "\":\"i\",\"" LABEL_UID "\":\"u\",\"" LABEL_NETWORK      \
            "\":\"\"}}}")

/* Whether there was one already, whether the engine fails, or there is no namespace to set rules in but the host's: the
 * start is not even asked for. */
static void test_without_rules_there_is_no_start(void **state)
{
    const struct runtime_spec spec = {SOMEBODYS, PREPARED, .image = "i", .network = true};
    _cleanup_free_ char *own = xasprintf(INITIALIZED("%d"), getpid());
    const char *const answers[] = {INITIALIZED("0"), INITIALIZED("-1"), INITIALIZED("999999999"), own, GONE};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        const struct line script[] = {
            BEGINNING,
            LOOK(GONE),
            {"POST /v4.0.0/libpod/containers/create", CREATED, "\"nsmode\":\"bridge\"", false},
            {"POST /v4.0.0/libpod/containers/open-hydra-u/init", i % 2 ? DONE_ALREADY : DONE, NULL, false},
            LOOK(answers[i]),
            LOOK(OURS),
            {"POST /v4.0.0/libpod/containers/open-hydra-u/init", BUSY, NULL, false},
        };
        struct setup s;
        begin(&s, script, ARRAY_SIZE(script));
        for (int again = 0; again < 2; again++) {
            _cleanup_error_ struct error *err = NULL;
            _cleanup_instance_ struct instance in = {0};
            assert_int_equal(s.r->ops->ensure(s.r, &spec, &in, &err), -1);
        }
        finish(&s);
    }
}

/* --- rules in a namespace: root, and what sets them --- */

static pid_t in_a_network_of_its_own(void)
{
    int ready[2];
    char c;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        c = unshare(CLONE_NEWNET) < 0;
        _exit(write(ready[1], &c, 1) == 1 ? pause() : 1);
    }
    assert_true(read(ready[0], &c, 1) == 1 && c == 0);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end_it(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Both families: to a private address and anywhere by IPv6. */
static bool is_guarded(pid_t pid)
{
    const bool nft = access("/usr/sbin/nft", X_OK) == 0;
    _cleanup_free_ char *four = xasprintf(nft ? "nsenter -t %d -n nft list ruleset | grep -q 'daddr 10.0.0.0/8 reject'"
                                              : "nsenter -t %d -n iptables -S OUTPUT | grep -q '10.0.0.0/8 -j REJECT'",
                                          pid);
    _cleanup_free_ char *six =
        xasprintf(nft ? "nsenter -t %d -n nft list ruleset | grep -Eq 'ipv6 reject|reject with icmpv6'"
                      : "test ! -e /proc/net/if_inet6 || "
                        "nsenter -t %d -n ip6tables -S OUTPUT | grep -q 'P OUTPUT DROP'",
                  pid);
    return system(four) == 0 && system(six) == 0;
}

static void refresh(struct setup *s, pid_t pid)
{
    _cleanup_free_ char *text =
        xasprintf("{\"State\":{\"Pid\":%d},\"Config\":{\"Labels\":{\"" LABEL_NETWORK "\":\"10.7.0.0/16\"}}}", pid);
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);

    engine_network_refresh(engine_of(s->r), "u", yyjson_doc_get_root(doc));
}

/* Whoever starts it again: the second process is in another namespace, which has no rules yet. */
static void test_rules_follow_the_process(void **state)
{
    static const struct line script[] = {BEGINNING};
    struct setup s;

    if (geteuid() != 0 || system("command -v nsenter iptables ip6tables >/dev/null") != 0)
        skip();
    begin(&s, script, ARRAY_SIZE(script));
    pid_t first = in_a_network_of_its_own(), second = in_a_network_of_its_own();
    refresh(&s, first);
    assert_true(is_guarded(first));
    assert_false(is_guarded(second));
    refresh(&s, second);
    assert_true(is_guarded(second));
    end_it(first);
    end_it(second);
    finish(&s);
}

/* Podman says it by a status that means anything. */
static void test_an_image_that_is_missing(void **state)
{
    static const struct line script[] = {
        BEGINNING,
        LOOK(GONE),
        {"POST /v4.0.0/libpod/containers/create",
         "HTTP/1.1 500 X\r\nConnection: close\r\n\r\n{\"cause\":\"image not known\",\"message\":\"no: image not "
         "known\"}",
         NULL, false},
    };
    const struct runtime_spec spec = {SOMEBODYS, PREPARED, .image = "no"};
    _cleanup_error_ struct error *err = NULL;
    _cleanup_instance_ struct instance in = {0};
    struct setup s;

    begin(&s, script, ARRAY_SIZE(script));
    assert_int_equal(s.r->ops->ensure(s.r, &spec, &in, &err), -1);
    assert_int_equal(err->reason, REASON_NOT_FOUND);
    /* The profile that the request named is there. */
    _cleanup_free_ char *profile = xasprintf("%s/seccomp.json", s.peer.directory);
    assert_true(path_exists(profile));
    assert_int_equal(unlink(profile), 0);
    finish(&s);
}

/* What is ours is read by its id. */
static void test_ours(void **state)
{
    static const struct line script[] = {
        BEGINNING,
        LOOK(OURS),
        LOOK(OURS),
        {"GET /v1.41/containers/abc/stats?stream=false", OK_JSON("{\"pids_stats\":{\"current\":7}}"), NULL, false},
        LOOK(OURS),
        {"GET /v1.41/containers/abc/logs?stdout=true&stderr=true&follow=false&tail=20", OK_JSON("text of a terminal"),
         NULL, false},
        LOOK(GONE),
    };
    _cleanup_instance_ struct instance in = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(1000);
    _cleanup_error_ struct error *err = NULL;
    struct runtime_usage usage;
    struct setup s;

    begin(&s, script, ARRAY_SIZE(script));
    assert_int_equal(s.r->ops->inspect(s.r, "u", &in, NULL), 0);
    assert_string_equal(in.device, "dev");
    assert_int_equal(s.r->ops->usage(s.r, "u", &usage, NULL), 0);
    assert_int_equal(usage.pids, 7);
    const struct runtime_log_options log = {.tail = 20, .stop_fd = -1};
    assert_int_equal(s.r->ops->logs(s.r, "u", &log, collect, &text, NULL), 0);
    assert_string_equal(text.p, "text of a terminal");
    assert_true(s.r->ops->usage(s.r, "u", &usage, &err) < 0 && err->reason == REASON_NOT_FOUND);
    finish(&s);
}

#define OF_THE_POOL(instance)                                                                                          \
    "{\"Id\":\"abc\",\"State\":{\"Status\":\"exited\"},\"Config\":{\"Labels\":{\"" LABEL_INSTALLATION                  \
    "\":\"i\",\"" LABEL_INSTANCE "\":\"" instance "\",\"" LABEL_UID "\":\"u\",\"" LABEL_DEVICE "\":\"dev\"}}}"

#define LISTED                                                                                                         \
    OK_JSON("[{\"State\":\"running\",\"Labels\":{\"" LABEL_INSTANCE "\":\"x\",\"" LABEL_UID "\":\"u\",\"" LABEL_DEVICE \
            "\":\"a\"}},{\"State\":\"created\",\"Labels\":{\"" LABEL_UID "\":\"v\",\"" LABEL_DEVICE                    \
            "\":\"b\"}},{\"State\":\"created\",\"Labels\":{\"" LABEL_INSTANCE "\":\"y\"}}]")

/* An instance goes by its own id, whatever its device's uid is; what a build before had no id for goes by that. */
static void test_an_instance_has_an_id_of_its_own(void **state)
{
    static const struct line script[] = {
        BEGINNING,
        {"GET /v4.0.0/libpod/containers/open-hydra-x/json", OK_JSON(OF_THE_POOL("x")), NULL, false},
        LOOK(OK_JSON(OF_THE_POOL("x"))), /* the device's uid is not enough */
        LOOK(OURS),
        {"GET /v1.41/containers/json?all=true&filters=%7B%22label%22%3A%5B%22io.openhydra.installation%3Di%22%5D%7D",
         LISTED, NULL, false},
    };
    static const struct {
        const char *asked, *id;
    } looks[] = {{"x", "x"}, {"u", NULL}, {"u", "u"}};
    struct instance *list;
    struct setup s;
    size_t n;

    begin(&s, script, ARRAY_SIZE(script));
    for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
        _cleanup_instance_ struct instance in = {0};
        _cleanup_error_ struct error *err = NULL;
        int rc = s.r->ops->inspect(s.r, looks[i].asked, &in, &err);
        assert_true(looks[i].id ? rc == 0 : rc < 0 && err->reason == REASON_CONFLICT);
        if (looks[i].id)
            assert_true(streq(in.id, looks[i].id) && streq(in.device_uid, "u"));
    }
    assert_int_equal(s.r->ops->list(s.r, &list, &n, NULL), 0);
    assert_int_equal(n, 2); /* what says nothing of its device is nobody's */
    assert_true(streq(list[0].id, "x") && streq(list[0].device_uid, "u") && streq(list[0].device, "a"));
    assert_true(streq(list[1].id, "v") && streq(list[1].device_uid, "v") && streq(list[1].device, "b"));
    runtime_free_instances(list, n);
    finish(&s);
}

static void test_failures_have_reasons(void **state)
{
    static const struct line script[] = {
        BEGINNING,
        {"GET /v4.0.0/libpod/containers/open-hydra-u/json", GONE, NULL, false},
        {"GET /v4.0.0/libpod/containers/open-hydra-u/json",
         OK_JSON("{\"Config\":{\"Labels\":{}},\"State\":{\"Status\":\"running\"}}"), NULL, false},
        {"GET /v4.0.0/libpod/containers/open-hydra-u/json", OK_JSON("nonsense"), NULL, false},
        {"GET /v4.0.0/libpod/containers/open-hydra-u/json",
         "HTTP/1.1 500 X\r\nConnection: close\r\n\r\nno space left on device", NULL, false},
    };
    static const enum reason reasons[] = {REASON_NOT_FOUND, REASON_CONFLICT, REASON_BAD_REQUEST, REASON_INTERNAL};
    struct setup s;

    begin(&s, script, ARRAY_SIZE(script));
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        _cleanup_error_ struct error *err = NULL;
        _cleanup_instance_ struct instance in = {0};
        assert_true(s.r->ops->inspect(s.r, "u", &in, &err) < 0);
        assert_int_equal(err->reason, reasons[i]);
    }
    finish(&s);
}

int main(void)
{
    /* Should a guard be made for ourselves, no rule of this machine is replaced. */
    if (geteuid() == 0 && unshare(CLONE_NEWNET) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demultiplex),
        cmocka_unit_test(test_demultiplex_ends),
        cmocka_unit_test(test_podman_body),
        cmocka_unit_test(test_podman_mounts),
        cmocka_unit_test(test_podman_hardening),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_whose_group_it_is),
        cmocka_unit_test(test_network_of_the_body),
        cmocka_unit_test(test_podman_body_without_root),
        cmocka_unit_test(test_gpus_by_name),
        cmocka_unit_test(test_gpus_one_by_one),
        cmocka_unit_test(test_docker_body),
        cmocka_unit_test(test_docker_body_without_limits),
        cmocka_unit_test(test_the_process_of_a_container),
        cmocka_unit_test(test_service_conf),
        cmocka_unit_test(test_busy_removal),
        cmocka_unit_test(test_what_has_only_the_name_is_left_alone),
        cmocka_unit_test(test_an_instance_has_an_id_of_its_own),
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_rules_follow_the_process),
        cmocka_unit_test(test_an_image_that_is_missing),
        cmocka_unit_test(test_without_rules_there_is_no_start),
        cmocka_unit_test(test_an_engine_of_the_other_side_is_refused),
        cmocka_unit_test(test_failures_have_reasons),
        cmocka_unit_test(test_an_engine_that_comes_back_is_looked_at_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
