#include "runner/environment/spec.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/environment/home.h"
#include "runner/environment/hostid.h"

#define SOCKET_PATH_MAX 107
#define MAX_MOUNTS 4
#define MAX_VARIABLES 260

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

static int check_image(const struct config *c, const struct sandbox *s, struct error **err)
{
    if (config_image_allowed(c, s->image))
        return 0;
    return error_set(err, REASON_FORBIDDEN, "image %s is none of those that may run here (allowedImages)", s->image);
}

static int refuse(const char **reason, const char *name)
{
    *reason = name;
    return -1;
}

static bool is_label(const char *s)
{
    return s && is_dns_label(str_from(s));
}

static int check_names(const struct device *d, const struct sandbox *s, struct error **err)
{
    if (!is_label(d->owner) || !is_label(d->sandbox))
        return error_set(err, REASON_INVALID, "the names of owner and sandbox must be DNS labels");
    if (s->socket == NULL)
        return error_set(err, REASON_INVALID,
                         "sandbox %s listens on no unix socket (spec.socket); TCP is not supported yet", s->name);
    if (strlen(s->socket) > SOCKET_PATH_MAX)
        return error_set(err, REASON_INVALID, "sandbox %s: spec.socket is longer than %d bytes", s->name,
                         SOCKET_PATH_MAX);
    if (sandbox_check(s, err) < 0)
        return error_wrap(err, "sandbox %s", s->name);
    if (s->image == NULL || *s->image == '\0')
        return error_set(err, REASON_INVALID, "sandbox %s names no image (spec.cpuImageName)", s->name);
    if (s->run_as_user < 0 || s->run_as_user > 65533)
        return error_set(err, REASON_INVALID, "sandbox %s: spec.runAsUser is out of range", s->name);
    return 0;
}

/* Inside Podman's own user namespace, where 0 is who started it and the rest is subordinate: user N inside is N there,
 * at no cost. An image that wants root gets a namespace that begins at 1, for which Podman copies the image once. */
static int take_subordinate(const struct runtime_facts *f, struct runtime_spec *r, struct error **err)
{
    r->mapped = r->run_as == 0;
    r->host_id = r->mapped ? 1 : 0;
    r->host_id_size = f->subordinate_ids;
    if (r->host_id + r->run_as <= f->subordinate_ids)
        return 0;
    return error_set(err, REASON_INVALID,
                     "user %u of the image needs an id, and Podman has only %u of them (/etc/subuid, /etc/subgid)",
                     r->run_as, f->subordinate_ids);
}

static int check_ids(struct environments *es, const struct environment *e, const struct device *d, struct error **err)
{
    if (host_id_check(es->config, d->host_id, system_subordinate_files, err) < 0)
        return -1;
    if (host_id_in_use(es, e, d->host_id))
        return error_set(err, REASON_CONFLICT, "host id %u is in use by another user's environment", d->host_id);
    return 0;
}

/* Docker's users end at 2^31 - 1; a user namespace's mapping does not. */
static int check_plain_id(const struct device *d, const struct runtime_spec *r, struct error **err)
{
    if (r->mapped || (uint64_t)d->host_id + r->run_as <= INT32_MAX)
        return 0;
    return error_set(err, REASON_INVALID,
                     "host id %u is above 2147483647, where the engine's users end: set a lower hostIdBase",
                     d->host_id);
}

static int choose_ids(struct environments *es, const struct environment *e, const struct device *d,
                      const struct runtime_facts *f, struct runtime_spec *r, struct error **err)
{
    if (f->rootless)
        return take_subordinate(f, r, err);
    return check_ids(es, e, d, err) < 0 ? -1 : check_plain_id(d, r, err);
}

static const char *home_base(const struct config *c, const struct device *d, bool *direct)
{
    const char *base = NULL;

    if (streq(d->sandbox, "vscode"))
        base = c->vscode_base;
    else if (streq(d->sandbox, "jupyter-lab"))
        base = c->jupyter_lab_base;
    *direct = base != NULL;
    return base ? base : c->workspace_path;
}

static void add_mount(struct runtime_spec *r, struct runtime_mount m)
{
    struct runtime_mount *list = (struct runtime_mount *)(void *)r->mounts;
    list[r->mounts_len++] = m;
}

static int add_home(struct environments *es, struct arena *a, const struct environment *e, const struct device *d,
                    const struct sandbox *s, struct runtime_spec *r, struct error **err)
{
    bool direct, root = geteuid() == 0;
    struct home_options o = {.user = d->owner,
                             .owner = r->host_id + r->run_as,
                             .range_first = r->host_id ? r->host_id : 1, /* see take_subordinate() */
                             .range_size = r->host_id_size,
                             .chown = root};

    o.base = home_base(es->config, d, &direct);
    o.sandbox = direct ? NULL : d->sandbox;
    _cleanup_close_ int home = home_open(&o, err);
    if (home < 0)
        return -1;
    const char *source =
        direct ? arena_printf(a, "%s/%s", o.base, d->owner) : arena_printf(a, "%s/%s/%s", o.base, d->sandbox, d->owner);
    if (root) {
        if (place_ensure_home(es->folder, e->place, home, err) < 0)
            return -1;
        source = arena_printf(a, "%s/%s.home", es->folder, e->place);
    }
    add_mount(r, (struct runtime_mount){source, arena_strdup(a, s->home), false, true});
    return 0;
}

static int add_socket(struct environments *es, struct arena *a, struct environment *e, const struct sandbox *s,
                      struct runtime_spec *r, struct error **err)
{
    const char *slash = strrchr(s->socket, '/');
    const char *host = arena_printf(a, "%s/%s", es->folder, e->place);
    struct place_options o = {es->folder, e->place, r->host_id + r->run_as, es->gateway_gid};
    _cleanup_free_ char *socket = xasprintf("%s%s", host, slash);

    if (strlen(socket) > SOCKET_PATH_MAX)
        return error_set(err, REASON_INVALID, "%s is longer than the %d bytes of a socket's path", socket,
                         SOCKET_PATH_MAX);
    /* What a container before this one left in it must not be taken for this one's. */
    if (place_remove_socket(es->folder, e->place, err) < 0 || place_ensure_socket(&o, err) < 0)
        return -1;
    free(e->socket);
    e->socket = steal_ptr(socket);
    free(e->readiness_path);
    e->readiness_path = xstrdup(s->readiness_path);
    add_mount(r, (struct runtime_mount){host, arena_strndup(a, s->socket, (size_t)(slash - s->socket)), false, false});
    return 0;
}

static int add_shared(struct environments *es, struct arena *a, const struct environment *e, enum place_shared what,
                      struct runtime_spec *r, struct error **err)
{
    const struct config *config = es->config;
    const char *path = what == PLACE_DATA_SET ? config->dataset_path : config->course_path;
    const char *target = what == PLACE_DATA_SET ? config->dataset_mount : config->course_mount;

    if (path == NULL || target == NULL || !path_exists(path))
        return 0;
    if (place_ensure_shared(es->folder, e->place, what, path, err) < 0)
        return -1;
    const char *source = place_shared_path(a, es->folder, e->place, what);
    add_mount(r, (struct runtime_mount){source, arena_strdup(a, target), true, false});
    return 0;
}

static void add_variable(struct runtime_spec *r, const char *name, const char *value)
{
    struct runtime_variable *list = (struct runtime_variable *)(void *)r->variables;
    if (name && value && r->variables_len < MAX_VARIABLES)
        list[r->variables_len++] = (struct runtime_variable){name, value};
}

/* Ours last: they win. */
static void add_variables(struct arena *a, const struct environment *e, const struct device *d, const struct sandbox *s,
                          struct runtime_spec *r)
{
    size_t i, max;
    yyjson_val *v;

    r->variables = arena_alloc(a, MAX_VARIABLES * sizeof(struct runtime_variable));
    add_variable(r, "HOME", arena_strdup(a, s->home));
    yyjson_arr_foreach (s->env, i, max, v) {
        if (r->variables_len == MAX_VARIABLES - 4)
            break;
        const char *name = json_str_at(v, "name"), *value = json_str_at(v, "value");
        add_variable(r, name ? arena_strdup(a, name) : NULL, arena_strdup(a, value ? value : ""));
    }
    add_variable(r, "OPENHYDRA_SOCKET", arena_strdup(a, s->socket));
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

static int check_root(const struct environments *es, const struct sandbox *s, const struct runtime_facts *f,
                      struct error **err)
{
    if (s->run_as_user != 0 || f->user_namespace || es->config->allow_root_images)
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

static struct runtime_spec *begin(struct environments *es, struct arena *a, const struct device *d,
                                  const struct sandbox *s, const struct runtime_facts *f)
{
    struct runtime_spec *r = arena_alloc(a, sizeof(*r));

    *r = (struct runtime_spec){
        .device = d->name,
        .uid = d->uid,
        .owner = d->owner,
        .sandbox = d->sandbox,
        .generation = d->generation,
        .image = arena_strdup(a, s->image),
        .mounts = arena_alloc(a, MAX_MOUNTS * sizeof(struct runtime_mount)),
        .host_id = d->host_id,
        .host_id_size = es->config->host_id_size,
        .mapped = f->user_namespace,
        .run_as = (uint32_t)s->run_as_user,
        .memory_bytes = device_memory_mib(es->config, d->ram) << 20,
        .cpu_milli = device_cpu_milli(es->config, d->cpu),
        .pids = es->config->pids_limit,
        .network = s->network,
        .stop_seconds = limits.stop_grace_seconds,
    };
    r->command = strings(a, s->command, &r->command_len);
    r->arguments = strings(a, s->args, &r->arguments_len);
    r->network_allow = strings(a, s->network_allow, &r->network_allow_len);
    return r;
}

static int fill(struct environments *es, struct arena *a, struct environment *e, const struct device *d,
                const struct sandbox *s, struct runtime_spec *r, const char **reason, struct error **err)
{
    r->revision = e->revision;
    if (add_socket(es, a, e, s, r, err) < 0)
        return refuse(reason, "SocketDirectoryRefused");
    if (add_home(es, a, e, d, s, r, err) < 0)
        return refuse(reason, "HomeRefused");
    if (add_shared(es, a, e, PLACE_DATA_SET, r, err) < 0)
        return refuse(reason, "DataSetsRefused");
    if (add_shared(es, a, e, PLACE_COURSE, r, err) < 0)
        return refuse(reason, "CoursesRefused");
    if (place_ensure_log(es->folder, e->place, err) < 0)
        return refuse(reason, "LogRefused");
    r->log_folder = place_log_path(a, es->folder, e->place);
    add_variables(a, e, d, s, r);
    return 0;
}

struct runtime_spec *spec_make(struct environments *es, struct arena *a, struct environment *e, const struct device *d,
                               const struct sandbox *s, const struct runtime_facts *facts, const char **reason,
                               struct error **err)
{
    if (check_names(d, s, err) < 0) {
        *reason = "SandboxUnsupported";
        return NULL;
    }
    if (check_amounts(es->config, d, err) < 0) {
        *reason = "LimitsRefused";
        return NULL;
    }
    if (check_image(es->config, s, err) < 0) {
        *reason = "ImageRefused";
        return NULL;
    }
    struct runtime_spec *r = begin(es, a, d, s, facts);
    if (choose_ids(es, e, d, facts, r, err) < 0) {
        *reason = "HostIdRefused";
        return NULL;
    }
    if (check_root(es, s, facts, err) < 0) {
        *reason = "RootImageRefused";
        return NULL;
    }
    if (check_network(s, facts, err) < 0) {
        *reason = "NetworkRefused";
        return NULL;
    }
    return fill(es, a, e, d, s, r, reason, err) < 0 ? NULL : r;
}
