#include "runner/environment/spec.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/quantity.h"
#include "config/region.h"
#include "runner/environment/gpus.h"
#include "runner/environment/home_quota.h"
#include "runner/environment/image.h"
#include "runner/environment/safe_mode.h"

#define MAX_VARIABLES 271
#define OURS 6 /* at the end */
#define WHEELS_TARGET "/opt/open-hydra/wheels"

/* What is not said, or no number, is the default, which is no more than the most that there is. */
static uint64_t amount(const char *said, uint64_t otherwise, uint64_t most)
{
    unsigned long long n;

    if (said && str_to_u64(str_from(said), 1u << 30, &n) == 0 && n)
        return n;
    return otherwise < most ? otherwise : most;
}

uint64_t device_memory_mib(const struct config *c, const char *said)
{
    return amount(said, c->default_ram_mib, config_max_ram_mib(c));
}

uint64_t device_cpu_milli(const struct config *c, const char *said)
{
    return amount(said, c->default_cpu_milli, config_max_cpu_milli(c));
}

/* What the server allowed it to be is not enough: these bounds are the configuration's. */
static int check_amounts(const struct config *c, const struct device *d, struct error **err)
{
    uint64_t ram = device_memory_mib(c, d->ram), cpu = device_cpu_milli(c, d->cpu);

    if (ram > config_max_ram_mib(c))
        return error_set(err, REASON_FORBIDDEN,
                         "%llu MiB of memory are more than the %llu that one environment may get "
                         "here (maxRamPerDevice)",
                         (unsigned long long)ram, (unsigned long long)config_max_ram_mib(c));
    if (cpu > config_max_cpu_milli(c))
        return error_set(err, REASON_FORBIDDEN,
                         "%llu thousandths of a processor are more than the %llu that one "
                         "environment may get here (maxCpuPerDevice)",
                         (unsigned long long)cpu, (unsigned long long)config_max_cpu_milli(c));
    return 0;
}

static unsigned processes_of(const struct config *c, const struct device *d, const struct sandbox *s)
{
    return s->processes ? s->processes : config_processes(c, device_memory_mib(c, d->ram));
}

static int check_processes(const struct config *c, const struct sandbox *s, struct error **err)
{
    if (s->processes <= config_max_processes(c))
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "sandbox %s: spec.processes: %u are more than the %u that one environment may have here "
                     "(maxPidsPerDevice)",
                     s->name, s->processes, config_max_processes(c));
}

static int check_image(const struct config *c, const char *image, struct error **err)
{
    if (config_image_allowed(c, image))
        return 0;
    return error_set(err, REASON_FORBIDDEN, "image %s is none of those that may run here (allowedImages)", image);
}

static bool is_label(const char *s)
{
    return s && is_dns_label(str_from(s));
}

static int check_names(const struct device *d, const struct sandbox *s, struct error **err)
{
    if (!is_label(d->owner) || !is_label(d->sandbox))
        return error_set(err, REASON_INVALID, "the names of owner and sandbox must be DNS labels");
    if (d->owner_uid && !is_plain_id(str_from(d->owner_uid)))
        return error_set(err, REASON_INVALID, "the uid of the owner is none");
    if (s->socket == NULL && yyjson_arr_size(s->ports) == 0)
        return error_set(err, REASON_INVALID,
                         "sandbox %s says neither by spec.socket nor by spec.ports where it listens", s->name);
    if (s->socket && strlen(s->socket) > SOCKET_PATH_MAX)
        return error_set(err, REASON_INVALID, "sandbox %s: spec.socket is longer than %d bytes", s->name,
                         SOCKET_PATH_MAX);
    if (sandbox_check(s, err) < 0)
        return error_wrap(err, "sandbox %s", s->name);
    const char *image = device_image(d, s);
    if (image == NULL || *image == '\0')
        return error_set(err, REASON_INVALID,
                         "sandbox %s names no image (spec.cpuImageName, or spec.gpuImageSet for its GPUs)", s->name);
    if (s->run_as_user < 0 || s->run_as_user > 65533)
        return error_set(err, REASON_INVALID, "sandbox %s: spec.runAsUser is out of range", s->name);
    return 0;
}

static void add_variable(struct runtime_spec *r, const char *name, const char *value)
{
    struct runtime_variable *list = (struct runtime_variable *)(void *)r->variables;
    if (name && value && r->variables_len < MAX_VARIABLES)
        list[r->variables_len++] = (struct runtime_variable){name, value};
}

/* Where pip looks. Without a network it is told at once that there is no index, or it would ask for one again and again. */
static void add_pip_variables(struct arena *a, const struct config *c, const struct sandbox *s, struct runtime_spec *r)
{
    if (c->pip_index)
        add_variable(r, "PIP_INDEX_URL", c->pip_index);
    if (c->pip_index && starts_with(c->pip_index, "http://")) {
        const char *host = c->pip_index + strlen("http://");
        add_variable(r, "PIP_TRUSTED_HOST", arena_strndup(a, host, strcspn(host, "/")));
    }
    if (c->pip_find_links)
        add_variable(r, "PIP_FIND_LINKS", WHEELS_TARGET);
    if (c->pip_find_links && c->pip_index == NULL && !s->network)
        add_variable(r, "PIP_NO_INDEX", "1");
}

/* The owner's language, or everybody's. */
static void add_language(struct arena *a, const struct config *c, const struct device *d, struct runtime_spec *r)
{
    _cleanup_free_ char *chosen = d->language ? language_tag(d->language) : NULL;
    const char *tag = chosen ? chosen : c->language;
    _cleanup_free_ char *locale = tag ? language_locale(tag) : NULL;

    if (tag == NULL)
        return;
    add_variable(r, "LANG", arena_strdup(a, locale));
    add_variable(r, "OPENHYDRA_LANGUAGE", arena_strdup(a, tag));
}

/* What a sandbox may set otherwise. */
static void add_defaults(struct arena *a, const struct config *c, const struct device *d, const struct sandbox *s,
                         struct runtime_spec *r)
{
    if (c->time_zone)
        add_variable(r, "TZ", c->time_zone);
    add_language(a, c, d, r);
    add_pip_variables(a, c, s, r);
}

/* Ours last: they win. */
static void add_variables(struct arena *a, const struct config *c, const struct environment *e, const struct device *d,
                          const struct sandbox *s, struct runtime_spec *r)
{
    size_t i, max;
    yyjson_val *v;

    r->variables = arena_alloc(a, MAX_VARIABLES * sizeof(struct runtime_variable));
    add_variable(r, "HOME", arena_strdup(a, s->home));
    add_defaults(a, c, d, s, r);
    yyjson_arr_foreach (s->env, i, max, v) {
        if (r->variables_len == MAX_VARIABLES - OURS)
            break;
        const char *name = json_str_at(v, "name"), *value = json_str_at(v, "value");
        add_variable(r, name ? arena_strdup(a, name) : NULL, arena_strdup(a, value ? value : ""));
    }
    add_variable(r, "OPENHYDRA_COURSES", c->course_mount);
    if (s->socket)
        add_variable(r, "OPENHYDRA_SOCKET", arena_strdup(a, s->socket));
    if (environment_is_safe(e, d))
        add_variable(r, SAFE_MODE_VARIABLE, "1");
    add_variable(r, "OPENHYDRA_USER", arena_strdup(a, d->owner));
    add_variable(r, "OPENHYDRA_TOKEN", e->token);
    add_variable(r, "JUPYTER_TOKEN", e->token);
}

static const char *const *strings(struct arena *a, yyjson_val *list, size_t *n)
{
    const char **out;
    size_t i, max;
    yyjson_val *v;

    *n = 0;
    if (yyjson_arr_size(list) == 0)
        return NULL;
    out = arena_alloc(a, yyjson_arr_size(list) * sizeof(char *));
    yyjson_arr_foreach (list, i, max, v) {
        if (yyjson_is_str(v))
            out[(*n)++] = arena_strdup(a, yyjson_get_str(v));
    }
    return out;
}

static int check_root(const struct config *c, const struct sandbox *s, const struct runtime_facts *f,
                      struct error **err)
{
    if (s->run_as_user != 0 || f->user_namespace || c->allow_root_images)
        return 0;
    return error_set(err, REASON_FORBIDDEN,
                     "sandbox %s runs as root, and there is no user namespace here that makes this harmless "
                     "(allowRootImages permits it)",
                     s->name);
}

static int check_network(const struct sandbox *s, const struct runtime_facts *f, struct error **err)
{
    if (!s->network || f->network)
        return 0;
    return error_set(
        err, REASON_FORBIDDEN,
        "sandbox %s asks for a network (spec.network), and no rules can be set here for what it may reach: %s", s->name,
        f->network_why ? f->network_why : "");
}

static int check_tcp(const struct sandbox *s, const struct runtime_facts *f, struct error **err)
{
    if (yyjson_arr_size(s->ports) == 0 || f->tcp)
        return 0;
    return error_set(err, REASON_FORBIDDEN, "sandbox %s listens on TCP (spec.ports), which cannot be reached here: %s",
                     s->name, f->tcp_why ? f->tcp_why : "");
}

static int check_owner_id(struct environments *es, const struct environment *e, const struct device *d,
                          const struct runtime_facts *f, struct error **err)
{
    if (!f->owner_ids || !owner_id_in_use(es, e, d->host_id))
        return 0;
    return error_set(err, REASON_CONFLICT, "host id %u is in use by another user's environment", d->host_id);
}

static void add_content(struct runtime_spec *r, const char *name, const char *target)
{
    struct runtime_content *list = (struct runtime_content *)(void *)r->content;
    if (target)
        list[r->content_len++] = (struct runtime_content){name, target};
}

/* A volume that is mounted there goes before it. */
static void add_memory(struct runtime_spec *r, struct runtime_scratch *list, const char *target, const char *said,
                       const struct portion *otherwise)
{
    struct portion size = *otherwise;

    if (runtime_scratch_bytes(r, target))
        return;
    if (said && portion_parse(str_from(said), &size) < 0)
        size = *otherwise; /* sandbox_check() refuses it */
    list[r->scratch_len++] = (struct runtime_scratch){target, portion_of(&size, r->memory_bytes)};
}

static void add_scratch(struct arena *a, const struct config *c, const struct sandbox *s, struct runtime_spec *r)
{
    struct sandbox_scratch named[SANDBOX_SCRATCH_MAX];
    struct runtime_scratch *list = arena_alloc(a, (SANDBOX_SCRATCH_MAX + 2) * sizeof(*list));
    size_t n = sandbox_scratch(s, named);

    r->scratch = list;
    for (size_t i = 0; i < n; i++)
        list[r->scratch_len++] = (struct runtime_scratch){
            arena_strdup(a, named[i].path), named[i].bytes < r->memory_bytes ? named[i].bytes : r->memory_bytes};
    add_memory(r, list, SCRATCH_TMP, s->tmp, &c->tmp);
    add_memory(r, list, SCRATCH_SHM, s->shm, &c->shm);
}

/* The readiness path is asked at the first. */
static void add_ports(struct arena *a, const struct sandbox *s, struct runtime_spec *r)
{
    struct sandbox_port list[SANDBOX_ENTRANCES_MAX];
    size_t n = sandbox_entrances(s, list);
    struct runtime_port *ports = arena_alloc(a, n * sizeof(*ports));

    _Static_assert(SANDBOX_ENTRANCES_MAX <= PORTS_MAX, "PORTS_MAX");
    for (size_t i = 0; i < n; i++)
        ports[i] = (struct runtime_port){.name = arena_strdup(a, list[i].name),
                                         .tcp = list[i].port,
                                         .socket = list[i].port ? NULL : arena_strdup(a, s->socket),
                                         .ready = i ? NULL : arena_strdup(a, s->readiness_path)};
    r->ports = ports;
    r->ports_len = n;
}

static struct runtime_spec *describe(struct environments *es, struct arena *a, const struct environment *e,
                                     const struct device *d, const struct sandbox *s)
{
    const struct config *c = es->config;
    struct runtime_spec *r = arena_alloc(a, sizeof(*r));

    *r = (struct runtime_spec){
        .instance = e->instance,
        .device = d->name,
        .device_uid = d->uid,
        .owner = d->owner,
        .sandbox = d->sandbox,
        .generation = d->generation,
        .revision = e->revision,
        .image = arena_strdup(a, device_image(d, s)),
        .run_as = (uint32_t)s->run_as_user,
        .owner_id = d->host_id,
        .owner_uid = d->owner_uid,
        .former_owner_id = d->former_host_id,
        .home = arena_strdup(a, s->home),
        .home_quota = device_home_quota(c, d),
        .content = arena_alloc(a, CONTENT_MAX * sizeof(struct runtime_content)),
        .memory_bytes = device_memory_mib(c, d->ram) << 20,
        .cpu_milli = device_cpu_milli(c, d->cpu),
        .pids = processes_of(c, d, s),
        .network = s->network,
        .stop_seconds = limits.stop_grace_seconds,
    };
    r->command = strings(a, s->command, &r->command_len);
    r->arguments = strings(a, s->args, &r->arguments_len);
    r->network_allow = strings(a, s->network_allow, &r->network_allow_len);
    add_content(r, CONTENT_DATA_SETS, c->dataset_mount);
    add_content(r, CONTENT_COURSES, c->course_mount);
    add_content(r, CONTENT_WHEELS, c->pip_find_links ? WHEELS_TARGET : NULL);
    add_scratch(a, c, s, r);
    add_ports(a, s, r);
    add_variables(a, c, e, d, s, r);
    return r;
}

static struct runtime_spec *refuse(const char **reason, const char *name)
{
    *reason = name;
    return NULL;
}

struct runtime_spec *spec_make(struct environments *es, struct arena *a, struct environment *e, const struct device *d,
                               const struct sandbox *s, const struct runtime_facts *facts, const char **reason,
                               struct error **err)
{
    if (check_names(d, s, err) < 0)
        return refuse(reason, "SandboxUnsupported");
    if (check_amounts(es->config, d, err) < 0 || check_processes(es->config, s, err) < 0)
        return refuse(reason, "LimitsRefused");
    if (check_image(es->config, device_image(d, s), err) < 0)
        return refuse(reason, "ImageRefused");
    if (check_owner_id(es, e, d, facts, err) < 0)
        return refuse(reason, "HostIdRefused");
    if (check_root(es->config, s, facts, err) < 0)
        return refuse(reason, "RootImageRefused");
    if (check_network(s, facts, err) < 0)
        return refuse(reason, "NetworkRefused");
    if (check_tcp(s, facts, err) < 0)
        return refuse(reason, "TcpRefused");
    struct runtime_spec *r = describe(es, a, e, d, s);
    return environment_choose_gpus(es, a, d, r, reason, err) < 0 ? NULL : r;
}
