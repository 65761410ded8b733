/* What a schema cannot say of a sandbox: where it may be mounted, where it listens, and which variables are not its to
 * set. */
#include "base/alloc.h"
#include "base/quantity.h"
#include "kinds/sandbox.h"

/* System folders, in which the engine or the image has its own: a mount there fails, or hides what runs it. */
static const char *const system_folders[] = {"/proc", "/sys",  "/dev", "/etc",   "/usr",
                                             "/bin",  "/sbin", "/lib", "/lib64", "/tmp"};

/* What is loaded into every program before its own code. All of NVIDIA_… besides, but what programs alone read: it is
 * what NVIDIA's container runtime, a hook with the host's rights, does for whoever asks by the environment, and each
 * version of it knows more of them. */
#define OF_PROGRAMS "NVIDIA_TF32_OVERRIDE"
static const char *const foreign_variables[] = {"LD_PRELOAD", "LD_AUDIT", "GCONV_PATH"};

bool path_is_plain(const char *path)
{
    struct str rest = str_from(path), part;

    if (path == NULL || path[0] != '/' || path[1] == '\0' || ends_with(path, "/") || strstr(path, "//"))
        return false;
    while (str_split(&rest, '/', &part))
        if (str_is(part, "..") || str_is(part, "."))
            return false;
    return true;
}

bool path_is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int invalid(struct error **err, const char *field, const char *value, const char *why)
{
    return error_add_cause(err, field, "FieldValueInvalid", "Invalid value: \"%.255s\": %s", value, why);
}

static int check_place(const char *field, const char *value, const char *folder, struct error **err)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_folders); i++)
        if (path_is_in(folder, system_folders[i]))
            return invalid(err, field, value, "may not lie in a folder of the system");
    return 0;
}

static int check_home(const struct sandbox *s, struct error **err)
{
    if (!path_is_plain(s->home))
        return invalid(err, "spec.home", s->home, "must be an absolute path without \".\", \"..\" and empty parts");
    if (streq(s->home, "/run"))
        return invalid(err, "spec.home", s->home, "is a folder that every environment has for itself");
    return check_place("spec.home", s->home, s->home, err);
}

static int check_socket(const struct sandbox *s, struct error **err)
{
    if (!path_is_plain(s->socket))
        return invalid(err, "spec.socket", s->socket, "must be an absolute path without \".\", \"..\" and empty parts");
    _cleanup_free_ char *folder = xstrndup(s->socket, (size_t)(strrchr(s->socket, '/') - s->socket));
    if (*folder == '\0')
        return invalid(err, "spec.socket", s->socket, "must lie in a folder of its own");
    if (path_is_in(folder, s->home) || path_is_in(s->home, folder))
        return invalid(err, "spec.socket", s->socket, "its folder and spec.home may not contain each other");
    return check_place("spec.socket", s->socket, folder, err);
}

static bool is_foreign(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(foreign_variables); i++)
        if (streq(name, foreign_variables[i]))
            return true;
    return name && starts_with(name, "NVIDIA_") && !streq(name, OF_PROGRAMS);
}

static int check_env(const struct sandbox *s, struct error **err)
{
    yyjson_val *one;
    size_t i, n;
    int rc = 0;

    yyjson_arr_foreach (s->env, i, n, one) {
        const char *name = json_str_at(one, "name");
        if (!is_foreign(name))
            continue;
        _cleanup_free_ char *field = xasprintf("spec.env[%zu].name", i);
        rc = invalid(err, field, name, "is not a sandbox's to set: it acts before what runs, or on the host");
    }
    return rc;
}

static int invalid_port(struct error **err, size_t i, const char *key, const char *why)
{
    _cleanup_free_ char *field = xasprintf("spec.ports[%zu]%s", i, key);
    return error_add_cause(err, field, "FieldValueInvalid", "Invalid value: %s", why);
}

static int check_port(yyjson_val *one, size_t i, struct error **err)
{
    yyjson_val *port = yyjson_is_obj(one) ? yyjson_obj_get(one, "port") : one, *key, *value;
    const char *at = yyjson_is_obj(one) ? ".port" : "", *name = json_str_at(one, "name");
    size_t k, n;

    if (!yyjson_is_uint(port) || yyjson_get_uint(port) == 0 || yyjson_get_uint(port) > UINT16_MAX)
        return invalid_port(err, i, at, "must be a port (1 to 65535), or an object of name and port");
    yyjson_obj_foreach (one, k, n, key, value) {
        if (!yyjson_equals_str(key, "name") && !yyjson_equals_str(key, "port"))
            return invalid_port(err, i, "", "holds name and port alone");
        if (yyjson_equals_str(key, "name") && !yyjson_is_str(value))
            return invalid_port(err, i, ".name", "must be a string");
    }
    if (name && (strlen(name) > SANDBOX_PORT_NAME_MAX || !is_dns_label(str_from(name)) || streq(name, "main")))
        return invalid_port(err, i, ".name",
                            "must be letters in lower case, digits and \"-\", at most 15, and not \"main\"");
    return 0;
}

static int check_port_twice(const struct sandbox_port *list, size_t i, struct error **err)
{
    for (size_t k = 0; k < i; k++) {
        if (list[k].port == list[i].port)
            return invalid_port(err, i, "", "the port is listed already");
        if (streq(list[k].name, list[i].name))
            return invalid_port(err, i, "", "the name is another's already");
    }
    return 0;
}

static int check_ports(const struct sandbox *s, struct error **err)
{
    struct sandbox_port list[SANDBOX_PORTS_MAX];
    yyjson_val *one;
    size_t i, n;
    int rc = 0;

    yyjson_arr_foreach (s->ports, i, n, one) {
        if (check_port(one, i, err) < 0)
            rc = -1;
    }
    n = rc == 0 ? sandbox_ports(s, list) : 0;
    for (i = 0; i < n; i++)
        if (check_port_twice(list, i, err) < 0)
            rc = -1;
    return rc;
}

static int check_amount(const struct sandbox_amount *a, const char *otherwise, const char *most, struct error **err)
{
    if (a->otherwise == 0 || a->most == 0 || a->otherwise <= a->most)
        return 0;
    return error_add_cause(err, otherwise, "FieldValueInvalid", "Invalid value: %llu: more than %s (%llu)",
                           (unsigned long long)a->otherwise, most, (unsigned long long)a->most);
}

static int check_amounts(const struct sandbox *s, struct error **err)
{
    int cpu = check_amount(&s->cpu, "spec.resources.defaultCpuMilli", "spec.resources.maxCpuMilli", err);
    int memory = check_amount(&s->memory, "spec.resources.defaultMemoryMiB", "spec.resources.maxMemoryMiB", err);
    return cpu < 0 || memory < 0 ? -1 : 0;
}

static bool is_mounted(const struct sandbox *s, const char *path)
{
    yyjson_val *one;
    size_t i, n;

    yyjson_arr_foreach (s->volume_mounts, i, n, one) {
        if (streq(json_str_at(one, "mountPath"), path))
            return true;
    }
    return false;
}

static int check_size(const struct sandbox *s, const char *field, const char *value, const char *path,
                      struct error **err)
{
    struct portion size;

    if (value == NULL)
        return 0;
    if (portion_parse(str_from(value), &size) < 0)
        return invalid(err, field, value, "must be " PORTION_IS " of the memory, of at least 64Ki");
    return is_mounted(s, path) ? invalid(err, field, value, "a volume is mounted there already, which has its own size")
                               : 0;
}

static int check_sizes(const struct sandbox *s, struct error **err)
{
    int shm = check_size(s, "spec.shmSize", s->shm, "/dev/shm", err);
    int tmp = check_size(s, "spec.tmpSize", s->tmp, "/tmp", err);
    return shm < 0 || tmp < 0 ? -1 : 0;
}

static int check_volumes(const struct sandbox *s, struct error **err)
{
    struct portion size;
    yyjson_val *one;
    size_t i, n;
    int rc = 0;

    yyjson_arr_foreach (s->volumes, i, n, one) {
        const char *limit = json_str_at(one, "emptyDir.sizeLimit");
        _cleanup_free_ char *field = xasprintf("spec.volumes[%zu].emptyDir.sizeLimit", i);
        if (limit && (portion_parse(str_from(limit), &size) < 0 || size.percent))
            rc = invalid(err, field, limit, "must be a quantity of bytes (\"1Gi\"), at least 64Ki");
    }
    return rc;
}

/* Two that are written to and may be larger than by default. */
static bool is_writable_system_folder(const char *path)
{
    return streq(path, "/tmp") || streq(path, "/dev/shm");
}

static bool overlap(const char *a, const char *b)
{
    return path_is_in(a, b) || path_is_in(b, a);
}

static int check_mount_path(const struct sandbox *s, const char *field, const char *path, struct error **err)
{
    if (!path_is_plain(path))
        return invalid(err, field, path, "must be an absolute path without \".\", \"..\" and empty parts");
    if (is_writable_system_folder(path))
        return 0;
    if (overlap(path, s->home))
        return invalid(err, field, path, "it and spec.home may not contain each other");
    if (s->socket && path_is_in(s->socket, path))
        return invalid(err, field, path, "spec.socket may not lie in it");
    if (streq(path, "/run"))
        return invalid(err, field, path, "is a folder that every environment has for itself");
    return check_place(field, path, path, err);
}

static int check_other_mounts(const struct sandbox *s, size_t at, const char *field, const char *path,
                              struct error **err)
{
    for (size_t i = 0; i < at; i++) {
        const char *other = json_str_at(yyjson_arr_get(s->volume_mounts, i), "mountPath");
        if (other && overlap(path, other))
            return invalid(err, field, path, "it and another mountPath may not contain each other");
    }
    return 0;
}

static int check_mounts(const struct sandbox *s, struct error **err)
{
    yyjson_val *one;
    size_t i, n;
    int rc = 0;

    yyjson_arr_foreach (s->volume_mounts, i, n, one) {
        const char *name = json_str_at(one, "name"), *path = json_str_at(one, "mountPath");
        _cleanup_free_ char *name_field = xasprintf("spec.volumeMounts[%zu].name", i);
        _cleanup_free_ char *path_field = xasprintf("spec.volumeMounts[%zu].mountPath", i);
        if (sandbox_volume(s, name) == NULL)
            rc = error_add_cause(err, name_field, "FieldValueNotFound", "Not found: there is no volume \"%s\"",
                                 name ? name : "");
        if (path &&
            (check_mount_path(s, path_field, path, err) < 0 || check_other_mounts(s, i, path_field, path, err) < 0))
            rc = -1;
    }
    return rc;
}

int sandbox_check(const struct sandbox *s, struct error **err)
{
    int home = check_home(s, err), env = check_env(s, err), ports = check_ports(s, err);
    int amounts = check_amounts(s, err), mounts = check_mounts(s, err);
    int sizes = check_sizes(s, err), volumes = check_volumes(s, err);

    if (home < 0 || env < 0 || ports < 0 || amounts < 0 || mounts < 0 || sizes < 0 || volumes < 0)
        return -1;
    return s->socket ? check_socket(s, err) : 0;
}
