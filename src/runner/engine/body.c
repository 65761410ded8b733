#include "runner/engine/body.h"

#include <string.h>

#include "base/alloc.h"
#include "runner/engine/container.h"
#include "runner/engine/ports.h"
#include "runner/engine/seccomp.h"

#define LOG_BYTES (1 << 20)
#define CPU_PERIOD_US 100000

char *engine_seccomp_path(struct arena *a, const struct engine *e)
{
    return arena_printf(a, "%s/seccomp.json", e->directory);
}

typedef yyjson_mut_val value;
typedef yyjson_mut_doc document;

static void put(document *d, value *obj, const char *key, value *v)
{
    yyjson_mut_obj_add(obj, yyjson_mut_strcpy(d, key), v);
}

static void put_str(document *d, value *obj, const char *key, const char *s)
{
    put(d, obj, key, yyjson_mut_strcpy(d, s));
}

static void put_int(document *d, value *obj, const char *key, uint64_t n)
{
    put(d, obj, key, yyjson_mut_uint(d, n));
}

static void put_bool(document *d, value *obj, const char *key, bool b)
{
    put(d, obj, key, yyjson_mut_bool(d, b));
}

static value *put_obj(document *d, value *obj, const char *key)
{
    value *v = yyjson_mut_obj(d);
    put(d, obj, key, v);
    return v;
}

static value *put_arr(document *d, value *obj, const char *key)
{
    value *v = yyjson_mut_arr(d);
    put(d, obj, key, v);
    return v;
}

static void add_str(document *d, value *arr, const char *s)
{
    yyjson_mut_arr_append(arr, yyjson_mut_strcpy(d, s));
}

static void put_strings(document *d, value *obj, const char *key, const char *const *list, size_t n)
{
    if (list == NULL)
        return;
    value *arr = put_arr(d, obj, key);
    for (size_t i = 0; i < n; i++)
        add_str(d, arr, list[i]);
}

/* For the rules that are made anew while it runs. */
static void put_allowed(document *d, value *labels, const struct runtime_spec *s)
{
    _cleanup_buffer_ struct buffer list = BUFFER_MAX(8192);

    for (size_t i = 0; i < s->network_allow_len; i++)
        buffer_printf(&list, "%s%s", i ? " " : "", s->network_allow[i]);
    put_str(d, labels, LABEL_NETWORK, list.n ? list.p : "");
}

static void put_ports(document *d, value *labels, const struct runtime_spec *s, const struct prepared *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(4096);

    ports_write_label(&text, s, p);
    if (text.n)
        put_str(d, labels, LABEL_PORTS, text.p);
}

static bool listens_on_tcp(const struct runtime_spec *s)
{
    for (size_t i = 0; i < s->ports_len; i++)
        if (s->ports[i].tcp)
            return true;
    return false;
}

/* Of its network namespace: a server that wants port 80 needs no capability. */
static void put_sysctl(document *d, value *obj, const char *key, const struct runtime_spec *s)
{
    if (listens_on_tcp(s))
        put_str(d, put_obj(d, obj, key), "net.ipv4.ip_unprivileged_port_start", "0");
}

/* The truth of who has which, whatever happens to runner and server. */
static void put_gpus(document *d, value *labels, const struct runtime_spec *s)
{
    _cleanup_buffer_ struct buffer list = BUFFER_MAX(65536);

    for (size_t i = 0; i < s->gpus_len; i++)
        buffer_printf(&list, "%s%s", i ? "," : "", s->gpus[i]);
    put_str(d, labels, LABEL_GPUS, list.n ? list.p : "");
}

static void put_labels(document *d, value *obj, const char *key, const struct engine *e, const struct runtime_spec *s,
                       const struct prepared *p)
{
    value *labels = put_obj(d, obj, key);
    _cleanup_free_ char *generation = xasprintf("%lld", (long long)s->generation);
    _cleanup_free_ char *revision = xasprintf("%llu", (unsigned long long)s->revision);

    put_str(d, labels, LABEL_INSTALLATION, e->installation);
    put_str(d, labels, LABEL_DEVICE, s->device);
    put_str(d, labels, LABEL_INSTANCE, s->instance);
    put_str(d, labels, LABEL_UID, s->device_uid);
    put_str(d, labels, LABEL_OWNER, s->owner);
    put_str(d, labels, LABEL_GENERATION, generation);
    if (s->network)
        put_allowed(d, labels, s);
    put_ports(d, labels, s, p);
    if (s->gpus_len)
        put_gpus(d, labels, s);
    put_str(d, labels, LABEL_REVISION, revision);
}

static uint64_t cpu_quota_us(const struct runtime_spec *s)
{
    uint64_t quota = s->cpu_milli * CPU_PERIOD_US / 1000;
    return quota < 1000 ? 1000 : quota; /* the kernel's least */
}

/* --- Variables --- */

/* What a vendor's hook or the loader would obey before anything of ours runs; hooks run where an administrator's CDI
 * file has some, and where NVIDIA's runtime is the engine's own (CVE-2024-0132, CVE-2025-23266). An image may set them
 * as well as a sandbox. */
#define NO_DEVICES "void" /* NVIDIA's runtime does nothing then */
static const char *const loader_variables[] = {"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH"};

static bool is_loader_variable(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(loader_variables); i++)
        if (streq(name, loader_variables[i]))
            return true;
    return false;
}

/* Calls with all that it gets. */
static void each_variable(const struct runtime_spec *s, const struct prepared *p,
                          void (*put_one)(document *d, value *to, const char *name, const char *text), document *d,
                          value *to)
{
    const char *libraries = p->gpus.libraries;

    put_one(d, to, "NVIDIA_VISIBLE_DEVICES", NO_DEVICES);
    for (size_t i = 0; i < s->variables_len; i++) {
        const struct runtime_variable *v = &s->variables[i];
        if (s->gpus_len == 0 || !is_loader_variable(v->name))
            put_one(d, to, v->name, v->value);
    }
    if (libraries)
        put_one(d, to, "LD_LIBRARY_PATH", libraries);
}

/* --- Podman --- */

static void put_mappings(document *d, value *root, const struct prepared *p)
{
    static const char *const keys[] = {"UIDMap", "GIDMap"};

    put_str(d, put_obj(d, root, "userns"), "nsmode", "private");
    value *m = put_obj(d, root, "idmappings");
    put_bool(d, m, "HostUIDMapping", false);
    put_bool(d, m, "HostGIDMapping", false);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        value *one = yyjson_mut_arr_add_obj(d, put_arr(d, m, keys[i]));
        put_int(d, one, "container_id", 0);
        put_int(d, one, "host_id", p->host_id);
        put_int(d, one, "size", p->host_id_size);
    }
}

static void add_podman_mount(document *d, value *mounts, const struct mount_point *m)
{
    value *one = yyjson_mut_arr_add_obj(d, mounts);

    put_str(d, one, "type", "bind");
    put_str(d, one, "source", m->source);
    put_str(d, one, "destination", m->target);
    value *o = put_arr(d, one, "options");
    add_str(d, o, "rbind");
    add_str(d, o, "rprivate");
    add_str(d, o, "nosuid");
    add_str(d, o, "nodev");
    if (!m->executable)
        add_str(d, o, "noexec");
    add_str(d, o, m->read_only ? "ro" : "rw");
}

static void add_podman_tmpfs(document *d, value *mounts, const char *target, const char *const *options, size_t n)
{
    value *one = yyjson_mut_arr_add_obj(d, mounts);

    put_str(d, one, "type", "tmpfs");
    put_str(d, one, "source", "tmpfs");
    put_str(d, one, "destination", target);
    put_strings(d, one, "options", options, n);
}

static void add_podman_file(document *d, value *mounts, const struct gpu_file *f)
{
    static const char *const options[] = {"bind", "rprivate", "nosuid", "nodev", "ro"};
    value *one = yyjson_mut_arr_add_obj(d, mounts);

    put_str(d, one, "type", "bind");
    put_str(d, one, "source", f->source);
    put_str(d, one, "destination", f->target);
    put_strings(d, one, "options", options, ARRAY_SIZE(options));
}

static void add_podman_scratch(document *d, value *mounts, const struct runtime_scratch *one)
{
    _cleanup_free_ char *size = xasprintf("size=%llu", (unsigned long long)one->bytes);
    const char *const options[] = {size, "mode=1777", "nosuid", "nodev", "noexec"};
    bool executable = !streq(one->target, SCRATCH_SHM);

    add_podman_tmpfs(d, mounts, one->target, options, ARRAY_SIZE(options) - executable);
}

/* /dev/shm among them: Podman 5's own would be read-only with `read_write_tmpfs` off, and fail what shares memory. */
static void put_podman_mounts(document *d, value *root, const struct runtime_spec *s, const struct prepared *p)
{
    value *mounts = put_arr(d, root, "mounts");

    for (size_t i = 0; i < p->mounts_len; i++)
        add_podman_mount(d, mounts, &p->mounts[i]);
    for (size_t i = 0; i < p->gpus.files_len; i++)
        add_podman_file(d, mounts, &p->gpus.files[i]);
    for (size_t i = 0; i < s->scratch_len; i++)
        add_podman_scratch(d, mounts, &s->scratch[i]);
}

static void put_podman_limits(document *d, value *root, const struct engine *e, const struct runtime_spec *s)
{
    /* Asked for where it cannot be had, the engine would refuse the container. */
    if (!e->limits)
        return;
    value *limits = put_obj(d, root, "resource_limits");
    value *memory = put_obj(d, limits, "memory"), *cpu = put_obj(d, limits, "cpu");
    put_int(d, memory, "limit", s->memory_bytes);
    put_int(d, memory, "swap", s->memory_bytes); /* of both together: none */
    put_int(d, cpu, "period", CPU_PERIOD_US);
    put_int(d, cpu, "quota", cpu_quota_us(s));
    put_int(d, put_obj(d, limits, "pids"), "limit", s->pids);
}

static void put_podman_variables(document *d, value *root, const struct runtime_spec *s, const struct prepared *p)
{
    each_variable(s, p, put_str, d, put_obj(d, root, "env"));
    if (s->gpus_len) /* of the image's; what is set above is set afterwards */
        put_strings(d, root, "unsetenv", loader_variables, ARRAY_SIZE(loader_variables));
}

/* A device's path is the name of one of CDI's, or HOST:INSIDE:RIGHTS. */
static void put_podman_gpus(document *d, value *root, const struct container_gpus *g)
{
    if (g->names_len + g->nodes_len == 0)
        return;
    value *list = put_arr(d, root, "devices");
    for (size_t i = 0; i < g->names_len; i++)
        put_str(d, yyjson_mut_arr_add_obj(d, list), "path", g->names[i]);
    for (size_t i = 0; i < g->nodes_len; i++) {
        _cleanup_free_ char *path = xasprintf("%s:%s:rw", g->nodes[i], g->nodes[i]);
        put_str(d, yyjson_mut_arr_add_obj(d, list), "path", path);
    }
}

static void put_podman_hardening(document *d, value *root, struct arena *a, const struct engine *e,
                                 const struct runtime_spec *s, const struct prepared *p)
{
    static const char *const all[] = {"all"};
    /* The host's disks (Podman 4 hides them of itself, 5 does not), and how it was booted. */
    static const char *const masked[] = {"/sys/dev/block", "/proc/cmdline"};
    _cleanup_free_ char *user = xasprintf("%u:%u", s->run_as, s->run_as);

    put_str(d, root, "user", user);
    put_bool(d, root, "read_only_filesystem", true);
    put_bool(d, root, "read_write_tmpfs", false);
    put_strings(d, root, "cap_drop", all, 1);
    put_strings(d, root, "mask", masked, ARRAY_SIZE(masked));
    put_str(d, root, "base_hosts_file", "none"); /* from Podman 5 on; before, our own service's configuration says it */
    put_bool(d, root, "no_new_privileges", true);
    put_str(d, root, "seccomp_profile_path", engine_seccomp_path(a, e));
    put_str(d, put_obj(d, root, "netns"), "nsmode", s->network ? "bridge" : "none");
    if (p->mapped)
        put_mappings(d, root, p);
}

static void put_podman_log(document *d, value *root, struct arena *a, const struct prepared *p)
{
    value *log = put_obj(d, root, "log_configuration");

    put_str(d, log, "driver", "k8s-file");
    put_int(d, log, "size", LOG_BYTES);
    if (p->log_folder)
        put_str(d, log, "path", arena_printf(a, "%s/log", p->log_folder));
}

static void fill_podman(document *d, value *root, const struct engine *e, const struct runtime_spec *s,
                        const struct prepared *p)
{
    _cleanup_arena_ struct arena *a = arena_new();

    put_str(d, root, "name", container_name(a, s->instance));
    put_str(d, root, "image", s->image);
    put_str(d, root, "hostname", s->owner);
    put_strings(d, root, "entrypoint", s->command, s->command_len);
    put_strings(d, root, "command", s->arguments, s->arguments_len);
    put_podman_variables(d, root, s, p);
    put_podman_gpus(d, root, &p->gpus);
    put_labels(d, root, "labels", e, s, p);
    put_sysctl(d, root, "sysctl", s);
    put_podman_hardening(d, root, a, e, s, p);
    put_podman_limits(d, root, e, s);
    put_podman_mounts(d, root, s, p);
    put_podman_log(d, root, a, p);
    put_str(d, root, "restart_policy", "no");
    put_int(d, root, "stop_timeout", s->stop_seconds);
    put_str(d, root, "image_volume_mode", "ignore");
    put_str(d, root, "systemd", "false");
}

/* --- Docker --- */

static void add_docker_mount(document *d, value *mounts, const struct mount_point *m)
{
    value *one = yyjson_mut_arr_add_obj(d, mounts);

    put_str(d, one, "Type", "bind");
    put_str(d, one, "Source", m->source);
    put_str(d, one, "Target", m->target);
    /* Mounted anew for Docker's own «ReadOnly», it would lose nosuid, nodev and noexec. */
    put_bool(d, one, "ReadOnly", false);
    put_str(d, put_obj(d, one, "BindOptions"), "Propagation", "rprivate");
}

static void add_docker_variable(document *d, value *env, const char *name, const char *text)
{
    _cleanup_free_ char *line = xasprintf("%s=%s", name, text);

    add_str(d, env, line);
    explicit_bzero(line, strlen(line));
}

/* Docker unsets nothing; to the loader empty is as good. */
static void put_docker_variables(document *d, value *root, const struct runtime_spec *s, const struct prepared *p)
{
    value *env = put_arr(d, root, "Env");

    for (size_t i = 0; s->gpus_len && i < ARRAY_SIZE(loader_variables); i++)
        if (p->gpus.libraries == NULL || !streq(loader_variables[i], "LD_LIBRARY_PATH"))
            add_docker_variable(d, env, loader_variables[i], "");
    each_variable(s, p, add_docker_variable, d, env);
}

static void put_docker_gpus(document *d, value *host, value *mounts, const struct container_gpus *g)
{
    if (g->nodes_len == 0)
        return;
    value *list = put_arr(d, host, "Devices");
    for (size_t i = 0; i < g->nodes_len; i++) {
        value *one = yyjson_mut_arr_add_obj(d, list);
        put_str(d, one, "PathOnHost", g->nodes[i]);
        put_str(d, one, "PathInContainer", g->nodes[i]);
        put_str(d, one, "CgroupPermissions", "rw");
    }
    for (size_t i = 0; i < g->files_len; i++) {
        value *one = yyjson_mut_arr_add_obj(d, mounts);
        put_str(d, one, "Type", "bind");
        put_str(d, one, "Source", g->files[i].source);
        put_str(d, one, "Target", g->files[i].target);
        put_bool(d, one, "ReadOnly", true);
    }
}

static void put_docker_limits(document *d, value *host, const struct engine *e, const struct runtime_spec *s)
{
    if (!e->limits)
        return;
    put_int(d, host, "Memory", s->memory_bytes);
    put_int(d, host, "MemorySwap", s->memory_bytes);
    put_int(d, host, "CpuPeriod", CPU_PERIOD_US);
    put_int(d, host, "CpuQuota", cpu_quota_us(s));
    put_int(d, host, "PidsLimit", s->pids);
}

/* Docker takes the profile itself, Podman as Docker the name of its file. */
static void put_docker_security(document *d, value *host, const struct engine *e)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const struct str json = seccomp_profiles[0].json;
    value *security = put_arr(d, host, "SecurityOpt");

    add_str(d, security, "no-new-privileges");
    add_str(d, security,
            e->podman ? arena_printf(a, "seccomp=%s", engine_seccomp_path(a, e))
                      : arena_printf(a, "seccomp=%.*s", (int)json.n, json.p));
}

/* Docker's own default keeps everything. */
static void put_docker_log(document *d, value *host)
{
    value *log = put_obj(d, host, "LogConfig"), *options = put_obj(d, log, "Config");

    put_str(d, log, "Type", "json-file");
    put_str(d, options, "max-size", "1m");
    put_str(d, options, "max-file", "1");
}

/* What Docker mounts at /dev/shm has a size and nothing else. */
static void put_docker_memory(document *d, value *host, const struct runtime_spec *s)
{
    value *memory = put_obj(d, host, "Tmpfs");

    for (size_t i = 0; i < s->scratch_len; i++) {
        const struct runtime_scratch *one = &s->scratch[i];
        _cleanup_free_ char *options =
            xasprintf("rw,nosuid,nodev,exec,mode=1777,size=%llu", (unsigned long long)one->bytes);
        if (!streq(one->target, SCRATCH_SHM))
            json_mut_set_str(d, memory, one->target, options);
    }
    put_int(d, host, "ShmSize", runtime_scratch_bytes(s, SCRATCH_SHM));
}

static void put_docker_host(document *d, value *root, const struct engine *e, const struct runtime_spec *s,
                            const struct prepared *p)
{
    static const char *const all[] = {"ALL"};
    value *host = put_obj(d, root, "HostConfig");

    put_bool(d, host, "ReadonlyRootfs", true);
    put_strings(d, host, "CapDrop", all, 1);
    put_docker_security(d, host, e);
    /* A daemon that maps all of its containers' ids alike would know none of ours. */
    put_str(d, host, "UsernsMode", "host");
    put_str(d, host, "NetworkMode", s->network ? "bridge" : "none");
    put_docker_limits(d, host, e, s);
    put_sysctl(d, host, "Sysctls", s);
    put_docker_log(d, host);
    value *mounts = put_arr(d, host, "Mounts");
    for (size_t i = 0; i < p->mounts_len; i++)
        add_docker_mount(d, mounts, &p->mounts[i]);
    put_docker_gpus(d, host, mounts, &p->gpus);
    put_docker_memory(d, host, s);
    put_str(d, put_obj(d, host, "RestartPolicy"), "Name", "no");
}

static void fill_docker(document *d, value *root, const struct engine *e, const struct runtime_spec *s,
                        const struct prepared *p)
{
    /* No user namespace: the process itself has the id that the owner's files have. */
    uint32_t id = p->host_id + s->run_as;
    _cleanup_free_ char *user = xasprintf("%u:%u", id, id);

    put_str(d, root, "Image", s->image);
    put_str(d, root, "Hostname", s->owner);
    put_strings(d, root, "Entrypoint", s->command, s->command_len);
    put_strings(d, root, "Cmd", s->arguments, s->arguments_len);
    put_str(d, root, "User", user);
    put_docker_variables(d, root, s, p);
    put_labels(d, root, "Labels", e, s, p);
    put_int(d, root, "StopTimeout", s->stop_seconds);
    put_docker_host(d, root, e, s, p);
}

yyjson_mut_doc *engine_body(const struct engine *e, const struct runtime_spec *spec, const struct prepared *prepared)
{
    document *d = yyjson_mut_doc_new(NULL);
    value *root = yyjson_mut_obj(d);

    yyjson_mut_doc_set_root(d, root);
    if (e->libpod)
        fill_podman(d, root, e, spec, prepared);
    else
        fill_docker(d, root, e, spec, prepared);
    return d;
}
