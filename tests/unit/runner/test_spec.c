/* What a container is made from, or why none is: devices and sandboxes in, reason or spec out. A whole one mounts and
 * needs root. */
#include <ftw.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/host.h"
#include "runner/engine/place.h"
#include "runner/environment/spec.h"

#define BASE (65536u * 29000u)
#define RANGE(n) (BASE + 65536u * (n))

static char folder[32], workspace[64], env[64], sets[64];
static char data_target[] = "/data", course_target[] = "/course", nowhere[] = "/nonexistent/courses";
static struct config config;
static struct environments all;
static struct engine host; /* what it is and what it makes on this machine, without one that runs */
static struct arena *arena;

static int set_up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/runner-spec-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(workspace, sizeof(workspace), "%s/homes", folder);
    snprintf(env, sizeof(env), "%s/env", folder);
    snprintf(sets, sizeof(sets), "%s/sets", folder);
    config = (struct config){.default_cpu_milli = 2000,
                             .default_ram_mib = 512,
                             .max_cpu_milli = 4000,
                             .max_ram_mib = 1024,
                             .pids_limit = 300,
                             .max_pids = 5000,
                             .shm = {.percent = 50},
                             .tmp = {.bytes = 32 << 20},
                             .workspace_path = workspace,
                             .dataset_mount = data_target,
                             .course_mount = course_target,
                             .host_id_base = BASE,
                             .host_id_size = 65536,
                             .host_id_count = 10};
    all = (struct environments){.config = &config};
    host = (struct engine){.config = &config, .places = env, .gateway_gid = 4242, .menders = menders_new()};
    environments_init(&all);
    arena = arena_new();
    return place_prepare_root(env, getegid(), NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
    return remove(path);
}

static int take_down(void **state)
{
    char **names;
    size_t n = place_list(env, &names);

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(place_remove(env, names[i], NULL), 0);
        free(names[i]);
    }
    free(names);
    menders_free(host.menders);
    environments_clear(&all);
    arena_free(arena);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static struct device device(const char *owner, uint32_t host_id)
{
    return (struct device){
        .name = owner, .uid = owner, .owner = owner, .sandbox = "plain", .host_id = host_id, .generation = 3};
}

static struct sandbox sandbox(void)
{
    return (struct sandbox){.name = "plain",
                            .image = "localhost/i:1",
                            .socket = "/run/open-hydra/s.sock",
                            .home = "/home/student",
                            .readiness_path = "/api",
                            .run_as_user = 1000};
}

static const struct engine_facts root_podman = {
    .seen = {.user_namespace = true, .limits = true, .network = true, .owner_ids = true}};
static const struct engine_facts docker = {
    .seen = {.user_namespace_why = "it has none", .limits = true, .owner_ids = true}};
static const struct engine_facts rootless = {
    .seen = {.user_namespace_why = "no"}, .rootless = true, .subordinate_ids = 65536};

static struct environment *environment_of(const struct device *d)
{
    struct environment *e = environment_find(&all, d->name);

    if (e == NULL)
        e = environment_make(&all, d);
    free(e->token);
    e->token = xstrdup("the token");
    return e;
}

/* The specification, with what an engine makes of it on this machine. */
static struct runtime_spec *make_both(const struct device *d, const struct sandbox *s, const struct engine_facts *f,
                                      const char **reason, struct error **err)
{
    struct runtime_spec *r = spec_make(&all, arena, environment_of(d), d, s, &f->seen, reason, err);
    struct prepared *p = arena_alloc(arena, sizeof(*p));

    if (r == NULL || host_prepare(&host, f, arena, r, p, reason, err) < 0)
        return NULL;
    r->prepared = p;
    return r;
}

/* The reason for which there is none, or NULL. */
static const char *refused(const struct device *d, const struct sandbox *s, const struct engine_facts *f,
                           const char *in_message)
{
    const char *reason = NULL;
    _cleanup_error_ struct error *err = NULL;
    const struct runtime_spec *r = make_both(d, s, f, &reason, &err);

    assert_true((r == NULL) == (err != NULL));
    if (in_message && (err == NULL || strstr(err->message, in_message) == NULL))
        fail_msg("\"%s\" is not in \"%s\"", in_message, err ? err->message : "(none)");
    return r ? NULL : reason;
}

static const char *refused_at_all(const struct device *d, const struct sandbox *s, const struct engine_facts *f)
{
    const char *reason = refused(d, s, f, NULL);
    /* What is made at the very end needs root; what is looked at before does not. */
    return geteuid() != 0 && reason && strcmp(reason, "SocketDirectoryRefused") == 0 ? NULL : reason;
}

static struct runtime_spec *made(const struct device *d, const struct sandbox *s, const struct engine_facts *f)
{
    const char *reason = NULL;
    _cleanup_error_ struct error *err = NULL;
    struct runtime_spec *r = make_both(d, s, f, &reason, &err);

    if (r == NULL)
        fail_msg("%s: %s", reason, err->message);
    return r;
}

static bool skip_without_root(void)
{
    if (geteuid() == 0)
        return false;
    print_message("needs root\n");
    return true;
}

/* --- sandboxes ---------------------------------------------------------------------------------------------------- */

static void test_sandboxes_that_cannot_be(void **state)
{
    static const char *const sockets[] = {NULL,         "",
                                          "/",          "/s.sock",
                                          "run/s.sock", "/run/",
                                          "/run/a/",    "/run/../s.sock",
                                          "/../s.sock", "/run/./s.sock",
                                          "/run/s/..",  "//s.sock/",
                                          "s",          "/run//s"};
    static const char *const homes[] = {
        NULL,      "", "/", "//", "home", "/home/..", "/home/../student", "/home/./student", "/.", "/home/student/",
        "/home//x"};
    static const int64_t users[] = {-1, 65534, 65535, INT64_MAX, INT64_MIN};
    const struct device d = device("ada", RANGE(1));
    struct sandbox s;

    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        s = sandbox();
        s.socket = sockets[i];
        assert_string_equal(refused(&d, &s, &root_podman, "spec.socket"), "SandboxUnsupported");
    }
    for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
        s = sandbox();
        s.home = homes[i];
        assert_string_equal(refused(&d, &s, &root_podman, "spec.home"), "SandboxUnsupported");
    }
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        s = sandbox();
        s.run_as_user = users[i];
        assert_string_equal(refused(&d, &s, &root_podman, "spec.runAsUser"), "SandboxUnsupported");
    }
    for (int i = 0; i < 2; i++) {
        s = sandbox();
        s.image = i ? "" : NULL;
        assert_string_equal(refused(&d, &s, &root_podman, "spec.cpuImageName"), "SandboxUnsupported");
    }
}

static void test_sandboxes_at_the_bounds(void **state)
{
    static const char *const sockets[] = {"/r/s", "/run/open-hydra/..s", "/a.b/c..d"};
    static const char *const homes[] = {"/h", "/home/..."};
    static const int64_t users[] = {1, 65533};
    const struct device d = device("ada", RANGE(1));
    struct sandbox s;

    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        s = sandbox();
        s.socket = sockets[i];
        assert_null(refused_at_all(&d, &s, &root_podman));
    }
    for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
        s = sandbox();
        s.home = homes[i];
        assert_null(refused_at_all(&d, &s, &root_podman));
    }
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        s = sandbox();
        s.run_as_user = users[i];
        struct device one = device(i ? "bob" : "cleo", RANGE(2 + (uint32_t)i));
        assert_null(refused_at_all(&one, &s, &root_podman));
    }
}

static void test_places_that_are_taken(void **state)
{
    static const struct {
        const char *home, *socket;
        bool good;
    } cases[] = {
        {"/proc", "/run/o/s", false},     {"/proc/self/x", "/run/o/s", false},  {"//proc//x", "/run/o/s", false},
        {"/sys/fs", "/run/o/s", false},   {"/dev/shm/x", "/run/o/s", false},    {"/etc", "/run/o/s", false},
        {"/tmp/home", "/run/o/s", false}, {"/home/a", "/proc/s", false},        {"/home/a", "/tmp/s", false},
        {"/home/a", "/dev/x/s", false},   {"/home/a", "/home/a/s", false},      {"/home/a", "/home/a/run/s", false},
        {"/home/a", "/home/s", false},    {"/home/a/", "//home//a/x/s", false}, {"/home/a", "/home/ab/s", true},
        {"/process", "/run/o/s", true},   {"/home/proc", "/run/tmp/s", true},   {"/run/home", "/run/o/s", true},
        {"/run", "/run/o/s", false},
    };
    const struct device d = device("ada", RANGE(1));

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sandbox s = sandbox();
        s.home = cases[i].home;
        s.socket = cases[i].socket;
        if (cases[i].good)
            assert_null(refused_at_all(&d, &s, &root_podman));
        else
            assert_string_equal(refused(&d, &s, &root_podman, "spec."), "SandboxUnsupported");
    }
}

/* A socket's address holds 107 bytes, inside and on the host. */
static void test_long_sockets(void **state)
{
    const struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();
    char path[200] = "/run/";

    memset(path + 5, 'x', 103);
    path[20] = '/';
    path[108] = '\0';
    s.socket = path;
    assert_string_equal(refused(&d, &s, &root_podman, "spec.socket"), "SandboxUnsupported");
    /* On the host the name alone counts, behind the folder that it has there. */
    size_t room = 107 - strlen(env) - PLACE_NAME_SIZE;
    for (size_t n = room - 1; n <= room; n++) {
        snprintf(path, sizeof(path), "/r/");
        memset(path + 3, 'x', n);
        path[3 + n] = '\0';
        const char *reason = refused_at_all(&d, &s, &root_podman);
        if (geteuid() == 0 && n < room)
            assert_null(reason);
        else if (geteuid() == 0)
            assert_string_equal(reason, "SocketDirectoryRefused");
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {NULL, "", "..", "a/b", "Ada", "-a", "a.b", "a b", "../../etc"};
    const struct sandbox s = sandbox();

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct device d = device("ada", RANGE(1));
        d.owner = bad[i];
        assert_string_equal(refused(&d, &s, &root_podman, "names"), "SandboxUnsupported");
        d = device("ada", RANGE(1));
        d.sandbox = bad[i];
        assert_string_equal(refused(&d, &s, &root_podman, "names"), "SandboxUnsupported");
    }
}

static void test_networks(void **state)
{
    struct sandbox s = sandbox();
    const struct device d = device("ada", RANGE(1));
    struct engine_facts f = docker;

    f.seen.network_why = "for want of a reason";
    assert_null(refused_at_all(&d, &s, &f));
    s.network = true;
    assert_string_equal(refused(&d, &s, &f, "for want of a reason"), "NetworkRefused");
    assert_string_equal(refused(&d, &s, &rootless, "spec.network"), "NetworkRefused");
    assert_null(refused_at_all(&d, &s, &root_podman));
}

static void test_root_images(void **state)
{
    struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();

    s.run_as_user = 0;
    assert_string_equal(refused(&d, &s, &docker, "allowRootImages"), "RootImageRefused");
    assert_string_equal(refused(&d, &s, &rootless, "allowRootImages"), "RootImageRefused");
    assert_null(refused_at_all(&d, &s, &root_podman));
    config.allow_root_images = true;
    d.host_id = RANGE(2) - 65536; /* within what Docker can */
    assert_null(refused_at_all(&d, &s, &docker));
}

/* --- what the configuration bounds -------------------------------------------------------------------------------- */

static void test_amounts(void **state)
{
    static const struct {
        const char *said;
        uint64_t ram, cpu;
    } good[] = {{NULL, 512, 2000},  {"", 512, 2000},
                {"0", 512, 2000},   {"nonsense", 512, 2000},
                {"-1", 512, 2000},  {"1", 1, 1},
                {"64", 64, 64},     {"1024", 1024, 1024},
                {"1e3", 512, 2000}, {"18446744073709551617", 512, 2000}};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(device_memory_mib(&config, good[i].said), good[i].ram);
        assert_int_equal(device_cpu_milli(&config, good[i].said), good[i].cpu);
    }
    /* The default itself is within the bounds, even where they are lower. */
    config.max_ram_mib = config.max_cpu_milli = 100;
    assert_int_equal(device_memory_mib(&config, NULL), 100);
    assert_int_equal(device_cpu_milli(&config, NULL), 100);
    assert_int_equal(device_memory_mib(&config, "99"), 99);
}

static void test_ceilings(void **state)
{
    static char pattern[] = "localhost/*", *patterns[] = {pattern, NULL};
    struct sandbox s = sandbox();
    struct device d = device("ada", RANGE(1));

    d.ram = "1025";
    assert_string_equal(refused(&d, &s, &root_podman, "maxRamPerDevice"), "LimitsRefused");
    d.ram = "999999999";
    assert_string_equal(refused(&d, &s, &root_podman, "maxRamPerDevice"), "LimitsRefused");
    d.ram = "1024";
    assert_null(refused_at_all(&d, &s, &root_podman));
    d.cpu = "4001";
    assert_string_equal(refused(&d, &s, &root_podman, "maxCpuPerDevice"), "LimitsRefused");
    d.cpu = "4000";
    assert_null(refused_at_all(&d, &s, &root_podman));
    config.allowed_images = patterns;
    assert_null(refused_at_all(&d, &s, &root_podman));
    s.image = "docker.io/localhost/i:1";
    assert_string_equal(refused(&d, &s, &root_podman, "allowedImages"), "ImageRefused");
    /* Where nothing is configured, the machine's own are the bounds. */
    config.allowed_images = NULL;
    config.max_ram_mib = config.max_cpu_milli = 0;
    d.cpu = NULL;
    d.ram = "999999999";
    assert_string_equal(refused(&d, &s, &root_podman, "maxRamPerDevice"), "LimitsRefused");
    d.ram = NULL;
    d.cpu = "999999999";
    assert_string_equal(refused(&d, &s, &root_podman, "maxCpuPerDevice"), "LimitsRefused");
}

/* --- ids ------------------------------------------------------------------------------------------------------------
 */

static void test_host_ids(void **state)
{
    static const uint32_t bad[] = {0, 1000, BASE - 65536, BASE, RANGE(1) + 1, RANGE(10), UINT32_MAX};
    const struct sandbox s = sandbox();

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct device d = device("ada", bad[i]);
        assert_string_equal(refused(&d, &s, &root_podman, "host id"), "HostIdRefused");
    }
    for (uint32_t n = 1; n < 10; n += 8) {
        const struct device d = device(n == 1 ? "first" : "last", RANGE(n));
        assert_null(refused_at_all(&d, &s, &root_podman));
    }
}

/* Two users who have the same range could read each other's homes. */
static void test_a_range_is_one_users(void **state)
{
    const struct sandbox s = sandbox();
    const struct device ada = device("ada", RANGE(1));
    struct device bob = device("bob", RANGE(1)), again = device("ada-again", RANGE(1));

    assert_null(refused_at_all(&ada, &s, &root_podman));
    assert_string_equal(refused(&bob, &s, &root_podman, "in use"), "HostIdRefused");
    assert_string_equal(refused(&bob, &s, &docker, "in use"), "HostIdRefused");
    environment_forget(&all, environment_find(&all, "bob"));
    again.owner = "ada"; /* another environment of the same user */
    assert_null(refused_at_all(&again, &s, &root_podman));
    environment_forget(&all, environment_find(&all, "ada-again"));
    environment_forget(&all, environment_find(&all, "ada"));
    assert_null(refused_at_all(&bob, &s, &root_podman)); /* free now */
}

/* A plain id of Docker's ends at 2^31 - 1; one that a namespace maps does not. */
static void test_the_last_plain_id(void **state)
{
    const uint32_t half = 1u << 31;
    struct sandbox s = sandbox();
    struct device d = device("ada", half - 65536);

    config.host_id_base = half - 2 * 65536;
    config.host_id_count = 4;
    s.run_as_user = 65533;
    assert_null(refused_at_all(&d, &s, &docker));
    d.host_id = half;
    assert_string_equal(refused(&d, &s, &docker, "2147483647"), "HostIdRefused");
    s.run_as_user = 0;
    config.allow_root_images = true;
    assert_string_equal(refused(&d, &s, &docker, "2147483647"), "HostIdRefused");
    const struct device bob = device("bob", half + 65536);
    assert_null(refused_at_all(&bob, &s, &root_podman));
}

/* Podman without root has its subordinate ids alone; an image that wants root begins at the first of them. */
static void test_subordinate_ids(void **state)
{
    struct engine_facts few = {.rootless = true, .subordinate_ids = 1000};
    struct sandbox s = sandbox();
    const struct device d = device("ada", 0); /* no range is needed */

    assert_null(refused_at_all(&d, &s, &few));
    s.run_as_user = 1001;
    assert_string_equal(refused(&d, &s, &few, "/etc/subuid"), "HostIdRefused");
    if (skip_without_root())
        return;
    s = sandbox();
    const struct runtime_spec *r = made(&d, &s, &few);
    assert_true(!r->prepared->mapped && r->prepared->host_id == 0 && r->prepared->host_id_size == 1000 &&
                r->run_as == 1000);
    config.allow_root_images = true;
    s.run_as_user = 0;
    const struct device bob = device("bob", 0);
    r = made(&bob, &s, &few);
    assert_true(r->prepared->mapped && r->prepared->host_id == 1 && r->prepared->host_id_size == 1000 &&
                r->run_as == 0);
}

/* --- a whole one ----------------------------------------------------------------------------------------------------
 */

static const char *variable(const struct runtime_spec *r, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < r->variables_len; i++)
        if (strcmp(r->variables[i].name, name) == 0)
            value = r->variables[i].value; /* the last wins */
    return value;
}

static void test_a_whole_one(void **state)
{
    static const char yaml[] =
        "{\"command\":[\"/start\",7,\"-x\"],\"args\":[],\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\"},"
        "{\"name\":\"OPENHYDRA_TOKEN\",\"value\":\"mine\"},{\"value\":\"nameless\"}],\"allow\":[\"10.1.0.0/16\"]}";
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(yaml), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct device d = device("ada", RANGE(3));
    struct sandbox s = sandbox();
    struct stat st;

    if (skip_without_root())
        return;
    s.command = json_at(root, "command");
    s.args = json_at(root, "args");
    s.env = json_at(root, "env");
    s.network = true;
    s.network_allow = json_at(root, "allow");
    d.ram = "100";
    d.cpu = "1500";
    assert_int_equal(mkdir(sets, 0755), 0);
    config.dataset_path = sets;
    config.course_path = nowhere;
    const struct runtime_spec *r = made(&d, &s, &root_podman);
    const struct environment *e = environment_find(&all, "ada");

    assert_true(strcmp(r->device, "ada") == 0 && strcmp(r->device_uid, "ada") == 0 && strcmp(r->owner, "ada") == 0);
    assert_true(strcmp(r->sandbox, "plain") == 0 && strcmp(r->image, "localhost/i:1") == 0 && r->generation == 3);
    assert_true(r->prepared->mapped && r->prepared->host_id == RANGE(3) && r->prepared->host_id_size == 65536 &&
                r->run_as == 1000);
    assert_true(r->memory_bytes == 100u << 20 && r->cpu_milli == 1500 && r->pids == 300 && r->network);
    assert_true(r->network_allow_len == 1 && strcmp(r->network_allow[0], "10.1.0.0/16") == 0);
    assert_int_equal(r->stop_seconds, limits.stop_grace_seconds);
    assert_true(r->command_len == 2 && strcmp(r->command[1], "-x") == 0);
    assert_true(r->arguments == NULL && r->arguments_len == 0);

    assert_string_equal(variable(r, "HOME"), "/home/student");
    assert_string_equal(variable(r, "A"), "1");
    assert_string_equal(variable(r, "B"), "");
    assert_string_equal(variable(r, "OPENHYDRA_SOCKET"), "/run/open-hydra/s.sock");
    assert_string_equal(variable(r, "OPENHYDRA_USER"), "ada");
    assert_string_equal(variable(r, "OPENHYDRA_COURSES"), course_target);
    assert_string_equal(variable(r, "OPENHYDRA_TOKEN"), "the token");
    assert_string_equal(variable(r, "JUPYTER_TOKEN"), "the token");

    struct statfs fs;
    assert_true(statfs(r->prepared->log_folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
                strncmp(r->prepared->log_folder, env, strlen(env)) == 0);
    assert_true((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize <= 4 << 20);
    assert_true(stat(r->prepared->log_folder, &st) == 0 && st.st_uid == 0 && (st.st_mode & 0777) == 0700);

    assert_int_equal(r->prepared->mounts_len, 3);
    assert_true(strcmp(r->prepared->mounts[0].target, "/run/open-hydra") == 0 && !r->prepared->mounts[0].read_only &&
                !r->prepared->mounts[0].executable);
    assert_true(strcmp(r->prepared->mounts[1].target, "/home/student") == 0 && !r->prepared->mounts[1].read_only &&
                r->prepared->mounts[1].executable);
    assert_true(strcmp(r->prepared->mounts[2].target, "/data") == 0 && r->prepared->mounts[2].read_only &&
                !r->prepared->mounts[2].executable);
    for (size_t i = 0; i < 3; i++) /* nothing that anybody could exchange on the way to it */
        assert_true(strncmp(r->prepared->mounts[i].source, env, strlen(env)) == 0);
    assert_true(stat(r->prepared->mounts[0].source, &st) == 0 && st.st_uid == RANGE(3) + 1000 && st.st_gid == 4242);
    assert_true(stat(r->prepared->mounts[1].source, &st) == 0 && st.st_uid == RANGE(3) + 1000);
    _cleanup_free_ char *socket = xasprintf("%s/s.sock", r->prepared->mounts[0].source);
    assert_string_equal(r->prepared->sockets[0], socket);
    assert_true(r->ports_len == 1 && strcmp(r->ports[0].name, "main") == 0);
    assert_string_equal(r->ports[0].ready, "/api");
    assert_string_equal(r->instance, e->instance);
    /* What the container before this one left there is gone. */
    assert_int_equal(write_file_atomic(socket, STR("old"), 0600, NULL), 0);
    made(&d, &s, &root_podman);
    assert_false(path_exists(socket));
}

/* By TCP where the runtime can, with a folder that is not the container's; a socket is taken before it. */
static void test_ports(void **state)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(STR("[8888,{\"name\":\"app\",\"port\":5000}]"), NULL),
                              *none = json_parse(STR("[]"), NULL),
                              *named = json_parse(STR("[{\"name\":\"app\",\"port\":80}]"), NULL);
    const struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();
    struct engine_facts f = root_podman;

    s.ports = yyjson_doc_get_root(doc);
    f.seen.tcp = true;
    const struct runtime_spec *r = made(&d, &s, &f);
    assert_true(strcmp(r->ports[0].name, "main") == 0 && r->ports[0].tcp == 0);
    assert_true(r->ports_len == 3 && r->ports[1].tcp == 8888 && strcmp(r->ports[2].name, "app") == 0);
    assert_true(ends_with(r->prepared->sockets[2], ".ports/app.sock") && r->ports[2].socket == NULL);
    s.socket = NULL;
    f.seen.tcp = false;
    f.seen.tcp_why = "for want of a program";
    assert_string_equal(refused(&d, &s, &f, "for want of a program"), "TcpRefused");
    f.seen.tcp = true;
    r = made(&d, &s, &f);
    assert_true(strcmp(r->ports[0].name, "port-0") == 0 && r->ports[0].tcp == 8888 && r->ports[0].socket == NULL);
    assert_string_equal(r->ports[0].ready, "/api");
    assert_null(variable(r, "OPENHYDRA_SOCKET"));
    assert_true(ends_with(r->prepared->sockets[0], ".ports/port-0.sock") && starts_with(r->prepared->sockets[0], env));
    assert_int_equal(r->prepared->relay, RANGE(1) + 65535);
    for (size_t i = 0; i < r->prepared->mounts_len; i++)
        assert_null(strstr(r->prepared->mounts[i].source, ".ports"));
    s.ports = yyjson_doc_get_root(named);
    r = made(&d, &s, &f);
    assert_true(strcmp(r->ports[0].name, "app") == 0 && r->ports[0].tcp == 80);
    s.ports = yyjson_doc_get_root(none);
    assert_string_equal(refused(&d, &s, &f, "spec.ports"), "SandboxUnsupported");
    s.ports = NULL;
    assert_string_equal(refused(&d, &s, &f, "spec.socket"), "SandboxUnsupported");
}

/* What acts before the program, or on the host: whatever the server says. */
/* What sandbox, volume or configuration say, and never more than the memory. */
static void test_memory_to_write_in(void **state)
{
    static const struct {
        const char *shm, *tmp, *volume; /* a mount path, of 2 GiB */
        uint64_t shm_mib, tmp_mib, volume_mib;
    } rows[] = {
        {NULL, NULL, NULL, 50, 32, 0},       {"100%", "64Ki", NULL, 100, 0, 0},     {"1Gi", "20Mi", NULL, 100, 20, 0},
        {NULL, NULL, "/srv/a", 50, 32, 100}, {NULL, "1%", "/dev/shm", 100, 1, 100}, {"10%", NULL, "/tmp", 10, 100, 100},
    };
    struct device d = device("ada", RANGE(1));

    if (skip_without_root())
        return;
    d.ram = "100";
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeMiB\":1,\"sizeLimit\":\"2Gi\"}}],"
                      "\"mounts\":[{\"name\":\"a\",\"mountPath\":\"%s\"}]}",
                      rows[i].volume ? rows[i].volume : "");
        _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);
        struct sandbox s = sandbox();
        s.shm = rows[i].shm;
        s.tmp = rows[i].tmp;
        if (rows[i].volume) {
            s.volumes = json_at(yyjson_doc_get_root(doc), "volumes");
            s.volume_mounts = json_at(yyjson_doc_get_root(doc), "mounts");
        }
        const struct runtime_spec *r = made(&d, &s, &root_podman);
        assert_int_equal(runtime_scratch_bytes(r, "/dev/shm") >> 20, rows[i].shm_mib);
        assert_int_equal(runtime_scratch_bytes(r, "/tmp") >> 20, rows[i].tmp_mib);
        if (rows[i].volume)
            assert_int_equal(runtime_scratch_bytes(r, rows[i].volume) >> 20, rows[i].volume_mib);
        assert_int_equal(r->scratch_len, 2 + (streq(rows[i].volume, "/srv/a")));
    }
}

static void test_processes(void **state)
{
    const struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();

    if (skip_without_root())
        return;
    assert_int_equal(made(&d, &s, &root_podman)->pids, 300);
    s.processes = 5000;
    assert_int_equal(made(&d, &s, &root_podman)->pids, 5000);
    s.processes = 5001;
    assert_string_equal(refused(&d, &s, &root_podman, "maxPidsPerDevice"), "LimitsRefused");
    s.processes = 0;
    config.pids_limit = 0;
    assert_int_equal(made(&d, &s, &root_podman)->pids, 256);
}

static void test_foreign_variables(void **state)
{
    _cleanup_json_ yyjson_doc *doc =
        json_parse(STR("[{\"name\":\"A\",\"value\":\"x\"},{\"name\":\"LD_PRELOAD\"}]"), NULL);
    const struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();

    s.env = yyjson_doc_get_root(doc);
    assert_string_equal(refused(&d, &s, &root_podman, "spec.env[1].name"), "SandboxUnsupported");
}

static const char *variable_or_none(const struct runtime_spec *r, const char *name)
{
    const char *last = NULL;

    for (size_t i = 0; i < r->variables_len; i++)
        if (streq(r->variables[i].name, name))
            last = r->variables[i].value;
    return last ? last : "";
}

/* The configuration's, before it the owner's, before both the sandbox's. */
static void test_where_in_the_world(void **state)
{
    _cleanup_json_ yyjson_doc *doc =
        json_parse(STR("[{\"name\":\"LANG\",\"value\":\"C\"},{\"name\":\"TZ\",\"value\":\"\"}]"), NULL);
    static const struct {
        const char *configured, *own, *lang, *tag;
    } rows[] = {
        {NULL, NULL, "", ""},
        {"zh-CN", NULL, "zh_CN.UTF-8", "zh-CN"},
        {"zh-CN", "en", "C.UTF-8", "en"},
        {NULL, "zh-CN", "zh_CN.UTF-8", "zh-CN"},
        {"zh-CN", "x;y", "zh_CN.UTF-8", "zh-CN"},
    };
    struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();
    char zone[] = "Asia/Shanghai";

    if (skip_without_root())
        return;
    assert_string_equal(variable_or_none(made(&d, &s, &root_podman), "TZ"), "");
    config.time_zone = zone;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *configured = xstrdup_or_null(rows[i].configured);
        config.language = configured;
        d.language = rows[i].own;
        const struct runtime_spec *r = made(&d, &s, &root_podman);
        assert_string_equal(variable_or_none(r, "TZ"), "Asia/Shanghai");
        assert_string_equal(variable_or_none(r, "LANG"), rows[i].lang);
        assert_string_equal(variable_or_none(r, "OPENHYDRA_LANGUAGE"), rows[i].tag);
        config.language = NULL;
    }
    s.env = yyjson_doc_get_root(doc);
    const struct runtime_spec *r = made(&d, &s, &root_podman);
    assert_string_equal(variable_or_none(r, "LANG"), "C");
    assert_string_equal(variable_or_none(r, "TZ"), "");
}

static void test_packages(void **state)
{
    static const struct {
        const char *index;
        bool links, network;
        const char *url, *trusted, *no_index;
    } rows[] = {
        {NULL, false, false, "", "", ""},
        {NULL, true, false, "", "", "1"},
        {NULL, true, true, "", "", ""},
        {"https://p/simple", true, false, "https://p/simple", "", ""},
        {"http://p:80/simple", false, true, "http://p:80/simple", "p:80", ""},
    };
    const struct device d = device("ada", RANGE(1));
    struct sandbox s = sandbox();

    if (skip_without_root())
        return;
    assert_int_equal(mkdir(sets, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *index = xstrdup_or_null(rows[i].index);
        config.pip_index = index;
        config.pip_find_links = rows[i].links ? sets : NULL;
        s.network = rows[i].network;
        const struct runtime_spec *r = made(&d, &s, &root_podman);
        assert_string_equal(variable_or_none(r, "PIP_INDEX_URL"), rows[i].url);
        assert_string_equal(variable_or_none(r, "PIP_TRUSTED_HOST"), rows[i].trusted);
        assert_string_equal(variable_or_none(r, "PIP_NO_INDEX"), rows[i].no_index);
        const struct mount_point *last = &r->prepared->mounts[r->prepared->mounts_len - 1];
        assert_true(streq(last->target, variable_or_none(r, "PIP_FIND_LINKS")) == rows[i].links);
        assert_true(last->read_only == rows[i].links);
        config.pip_index = config.pip_find_links = NULL;
    }
}

/* A sandbox may name 256; ours are the last, and there whatever it names. */
static void test_many_variables(void **state)
{
    static const size_t counts[] = {0, 255, 256, 265, 266, 300};
    struct sandbox s = sandbox();
    const struct device d = device("ada", RANGE(1));

    if (skip_without_root())
        return;
    for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
        _cleanup_buffer_ struct buffer text = BUFFER_MAX(65536);
        buffer_puts(&text, "[");
        for (size_t i = 0; i < counts[c]; i++)
            buffer_printf(&text, "%s{\"name\":\"V%zu\",\"value\":\"x\"}", i ? "," : "", i);
        buffer_puts(&text, "]");
        _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&text), NULL);
        s.env = yyjson_doc_get_root(doc);
        const struct runtime_spec *r = made(&d, &s, &root_podman);
        static const char *const ours[] = {"OPENHYDRA_SOCKET", "OPENHYDRA_USER", "OPENHYDRA_TOKEN", "JUPYTER_TOKEN"};
        for (size_t i = 0; i < 4; i++)
            assert_string_equal(r->variables[r->variables_len - 4 + i].name, ours[i]);
        assert_string_equal(variable(r, "JUPYTER_TOKEN"), "the token");
        assert_int_equal(r->variables_len, (counts[c] < 264 ? counts[c] : 264) + 6);
    }
}

/* Where files are kept: by sandbox, or where the original had them. */
static void test_homes(void **state)
{
    struct sandbox s = sandbox();
    char jupyter[64], code[64];
    static const struct {
        const char *sandbox, *home;
    } cases[] = {{"jupyter-lab", "jupyter/u0"}, {"vscode", "code/u1"}, {"plain", "homes/plain/u2"}};

    if (skip_without_root())
        return;
    snprintf(jupyter, sizeof(jupyter), "%s/jupyter", folder);
    snprintf(code, sizeof(code), "%s/code", folder);
    config.jupyter_lab_base = jupyter;
    config.vscode_base = code;
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char name[8];
        struct stat a, b;
        snprintf(name, sizeof(name), "u%u", i);
        struct device d = device(name, RANGE(i + 1));
        d.sandbox = cases[i].sandbox;
        const struct runtime_spec *r = made(&d, &s, &root_podman);
        _cleanup_free_ char *home = xasprintf("%s/%s", folder, cases[i].home);
        assert_true(stat(home, &a) == 0 && stat(r->prepared->mounts[1].source, &b) == 0 && a.st_ino == b.st_ino);
    }
}

static void test_a_home_of_anothers(void **state)
{
    const struct sandbox s = sandbox();
    const struct device d = device("ada", RANGE(1));
    char path[96];

    if (skip_without_root())
        return;
    made(&d, &s, &root_podman);
    snprintf(path, sizeof(path), "%s/plain/ada", workspace);
    assert_int_equal(chown(path, RANGE(2), RANGE(2)), 0);
    assert_string_equal(refused(&d, &s, &root_podman, "belongs to uid"), "HomeRefused");
}

/* In Podman's own user namespace root is who started it: files of that one are no user's home. */
static void test_a_home_of_who_started_podman(void **state)
{
    struct sandbox s = sandbox();
    const struct device d = device("ada", 0);
    char path[96];

    if (skip_without_root())
        return;
    made(&d, &s, &rootless);
    snprintf(path, sizeof(path), "%s/plain/ada", workspace);
    assert_int_equal(chown(path, 1, 1), 0);
    assert_null(refused(&d, &s, &rootless, NULL));
    assert_int_equal(chown(path, 0, 0), 0);
    assert_string_equal(refused(&d, &s, &rootless, "belongs to uid 0"), "HomeRefused");
    assert_int_equal(chown(path, 65536, 65536), 0);
    assert_null(refused(&d, &s, &rootless, NULL));
    assert_int_equal(chown(path, 65537, 65537), 0);
    assert_string_equal(refused(&d, &s, &rootless, "belongs to uid"), "HomeRefused");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sandboxes_that_cannot_be),
        TEST(test_sandboxes_at_the_bounds),
        TEST(test_places_that_are_taken),
        TEST(test_long_sockets),
        TEST(test_names),
        TEST(test_networks),
        TEST(test_ports),
        TEST(test_root_images),
        TEST(test_amounts),
        TEST(test_ceilings),
        TEST(test_memory_to_write_in),
        TEST(test_processes),
        TEST(test_host_ids),
        TEST(test_a_range_is_one_users),
        TEST(test_the_last_plain_id),
        TEST(test_subordinate_ids),
        TEST(test_a_whole_one),
        TEST(test_foreign_variables),
        TEST(test_where_in_the_world),
        TEST(test_packages),
        TEST(test_many_variables),
        TEST(test_homes),
        TEST(test_a_home_of_anothers),
        TEST(test_a_home_of_who_started_podman),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
