/* The configuration file as a table: one row a key, so that type, bounds and meaning are read off in one place. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/str.h"
#include "config/keys.h"

enum key_type {
    KEY_STRING,
    KEY_PATH,
    KEY_HOSTS,
    KEY_BOOL,
    KEY_U32,
    KEY_U64,
    KEY_DURATION,
    KEY_LISTEN,
    KEY_STRINGS,
    KEY_PORTION,
    KEY_QUANTITY,
    KEY_SEEN
};

struct config_key {
    const char *path;
    enum key_type type;
    size_t offset;
    uint64_t min, max;
    const char *note; /* of a key that is read and has no meaning here */
};

#define FIELD(name) offsetof(struct config, name)
#define NO_CLUSTER "environments run on this machine's container engine"
#define NO_DATABASE "objects are kept in an embedded database"

static const struct config_key config_keys[] = {
    /* The original's keys. */
    {"defaultCpuPerDevice", KEY_U64, FIELD(default_cpu_milli), 10, 1024000, NULL},
    {"defaultRamPerDevice", KEY_U64, FIELD(default_ram_mib), 64, 16777216, NULL},
    {"defaultGpuPerDevice", KEY_U32, FIELD(default_gpu), 0, 255, NULL},
    {"serverIP", KEY_HOSTS, FIELD(hosts), 0, 0, NULL},
    {"disableAuth", KEY_BOOL, FIELD(disable_auth), 0, 0, NULL},
    {"workspacePath", KEY_PATH, FIELD(workspace_path), 0, 0, NULL},
    {"jupyterLabHostBaseDir", KEY_PATH, FIELD(jupyter_lab_base), 0, 0, NULL},
    {"vscodeBasePath", KEY_PATH, FIELD(vscode_base), 0, 0, NULL},
    {"datasetBasePath", KEY_PATH, FIELD(dataset_path), 0, 0, NULL},
    {"courseBasePath", KEY_PATH, FIELD(course_path), 0, 0, NULL},
    {"datasetStudentMountPath", KEY_PATH, FIELD(dataset_mount), 0, 0, NULL},
    {"courseStudentMountPath", KEY_PATH, FIELD(course_mount), 0, 0, NULL},
    {"podAllocatableLimit", KEY_SEEN, 0, 0, 0, "the original never used it"},
    {"datasetMaxSize", KEY_U64, FIELD(dataset_max_bytes), 1, UINT64_C(1) << 44, NULL},
    {"courseMaxSize", KEY_U64, FIELD(course_max_bytes), 1, UINT64_C(1) << 44, NULL},
    {"datasetVolumeType", KEY_SEEN, 0, 0, 0, "data sets are folders of this machine"},
    {"vscodeWorkspaceMountPath", KEY_SEEN, 0, 0, 0, "a Sandbox says where the home is (spec.home)"},
    {"open-hydraNamespace", KEY_SEEN, 0, 0, 0, NO_CLUSTER},
    {"imageRepo", KEY_SEEN, 0, 0, 0, "the Sandbox jupyter-lab names the image (kubectl edit sandbox jupyter-lab)"},
    {"vscodeImageRepo", KEY_SEEN, 0, 0, 0, "a Sandbox names the image"},
    {"defaultGpuDriver", KEY_STRING, FIELD(gpu_driver), 0, 0, NULL},
    {"gpuResourceKeys", KEY_STRINGS, FIELD(gpu_resources), 0, 0, NULL},
    {"useDefaultGpuConfigWhenZeroIsGiven", KEY_BOOL, FIELD(use_default_gpu), 0, 0, NULL},
    {"enableJupyterLabBaseURL", KEY_SEEN, 0, 0, 0, "every environment has an address of its own"},
    {"applyPortNameForIngress", KEY_SEEN, 0, 0, 0, "every environment has an address of its own"},
    {"ingressPort", KEY_SEEN, 0, 0, 0, "every environment has an address of its own"},
    {"maximumPortsPerSandbox", KEY_SEEN, 0, 0, 0, "environments are reached on a socket"},
    {"kubeClientConfig", KEY_SEEN, 0, 0, 0, NO_CLUSTER},
    {"addProjectResource", KEY_SEEN, 0, 0, 0, "projects are not offered yet"},
    {"projectDatasetBasePath", KEY_SEEN, 0, 0, 0, "projects are not offered yet"},
    {"projectCourseBasePath", KEY_SEEN, 0, 0, 0, "projects are not offered yet"},
    {"projectDatasetStudentMountPath", KEY_SEEN, 0, 0, 0, "projects are not offered yet"},
    {"projectCourseStudentMountPath", KEY_SEEN, 0, 0, 0, "projects are not offered yet"},
    {"patchResourceNotRelease", KEY_SEEN, 0, 0, 0, NO_CLUSTER},
    {"cpuOverCommitRate", KEY_SEEN, 0, 0, 0, "limits are given as they are"},
    {"memoryOverCommitRate", KEY_SEEN, 0, 0, 0, "limits are given as they are"},
    {"dbType", KEY_SEEN, 0, 0, 0, NO_DATABASE},
    {"mysqlConfig", KEY_SEEN, 0, 0, 0, NO_DATABASE},
    {"etcdConfig", KEY_SEEN, 0, 0, 0, NO_DATABASE},
    {"leaderElection", KEY_SEEN, 0, 0, 0, "there is one server"},
    {"authDelegateConfig", KEY_SEEN, 0, 0, 0, "Keystone is not offered yet: users log in with passwords kept here"},
    /* Our own. */
    {"dataDirectory", KEY_PATH, FIELD(data), 0, 0, NULL},
    {"runtimeDirectory", KEY_PATH, FIELD(runtime), 0, 0, NULL},
    {"webDirectory", KEY_PATH, FIELD(web), 0, 0, NULL},
    {"dashboardListen", KEY_LISTEN, FIELD(dashboard), 0, 0, NULL},
    {"environmentListen", KEY_LISTEN, FIELD(environments), 0, 0, NULL},
    {"apiListen", KEY_LISTEN, FIELD(api), 0, 0, NULL},
    {"environmentNetworks", KEY_STRINGS, FIELD(environment_networks), 0, 0, NULL},
    {"publicAddress", KEY_STRING, FIELD(public_address), 0, 0, NULL},
    {"environmentPublicAddress", KEY_STRING, FIELD(environment_public_address), 0, 0, NULL},
    {"trustedProxies", KEY_STRINGS, FIELD(trusted_proxies), 0, 0, NULL},
    {"insecure", KEY_BOOL, FIELD(insecure), 0, 0, NULL},
    {"tlsCertificate", KEY_PATH, FIELD(certificate), 0, 0, NULL},
    {"tlsCertificateKey", KEY_PATH, FIELD(certificate_key), 0, 0, NULL},
    {"defaultSandbox", KEY_STRING, FIELD(default_sandbox), 0, 0, NULL},
    {"studentGpuLimit", KEY_U32, FIELD(student_gpu_limit), 0, 255, NULL},
    {"gpuTimeSlicing", KEY_PATH, FIELD(gpu_time_slicing_file), 0, 0, NULL},
    {"idleStop", KEY_DURATION, FIELD(idle_stop_seconds), 0, DURATION_MAX, NULL},
    {"keepUntilMax", KEY_DURATION, FIELD(keep_until_max_seconds), 0, DURATION_MAX, NULL},
    {"pidsPerDevice", KEY_U32, FIELD(pids_limit), 256, 1048576, NULL},
    {"maxPidsPerDevice", KEY_U32, FIELD(max_pids), 256, 4194304, NULL},
    {"shmPerDevice", KEY_PORTION, FIELD(shm), 0, 0, NULL},
    {"tmpPerDevice", KEY_PORTION, FIELD(tmp), 0, 0, NULL},
    {"maxCpuPerDevice", KEY_U64, FIELD(max_cpu_milli), 10, 1024000, NULL},
    {"maxRamPerDevice", KEY_U64, FIELD(max_ram_mib), 64, 16777216, NULL},
    {"allowedImages", KEY_STRINGS, FIELD(allowed_images), 0, 0, NULL},
    {"contentSources", KEY_STRINGS, FIELD(content_sources), 0, 0, NULL},
    {"contentAuthority", KEY_PATH, FIELD(content_authority), 0, 0, NULL},
    {"minimumFreeDisk", KEY_U64, FIELD(minimum_free_mib), 1, 16777216, NULL},
    {"homeSkeleton", KEY_PATH, FIELD(home_skeleton), 0, 0, NULL},
    {"timeZone", KEY_STRING, FIELD(time_zone), 0, 0, NULL},
    {"language", KEY_STRING, FIELD(language), 0, 0, NULL},
    {"pipIndex", KEY_STRING, FIELD(pip_index), 0, 0, NULL},
    {"pipFindLinks", KEY_PATH, FIELD(pip_find_links), 0, 0, NULL},
    {"homeQuota", KEY_QUANTITY, FIELD(home_quota), UINT64_C(1) << 20, UINT64_C(1) << 53, NULL},
    {"maxHomeQuota", KEY_QUANTITY, FIELD(max_home_quota), UINT64_C(1) << 20, UINT64_C(1) << 53, NULL},
    {"engineSocket", KEY_PATH, FIELD(engine_socket), 0, 0, NULL},
    {"gpuLibrary", KEY_PATH, FIELD(gpu_library), 0, 0, NULL},
    {"hostIdBase", KEY_U32, FIELD(host_id_base), 65536, 4294901760, NULL},
    {"hostIdRanges", KEY_U32, FIELD(host_id_count), 1, 32768, NULL},
    {"allowRootImages", KEY_BOOL, FIELD(allow_root_images), 0, 0, NULL},
    {"certificateCheckSeconds", KEY_U32, FIELD(certificate_check_seconds), 1, 86400, NULL},
    {"sessionSeconds", KEY_U32, FIELD(session_seconds), 60, 31536000, NULL},
    {"sessionMaxSeconds", KEY_U32, FIELD(session_max_seconds), 60, 31536000, NULL},
};

struct key_place {
    const char *file;
    const struct map *lines;
};

static size_t line_of(const struct key_place *at, const char *path)
{
    return (size_t)map_get(at->lines, str_from(path));
}

static int wrong_value(const struct key_place *at, const char *key, struct error **err, const char *expected)
{
    return error_set(err, REASON_INVALID, "%s:%zu: %s: expected %s", at->file, line_of(at, key), key, expected);
}

static void *field_of(struct config *c, const struct config_key *k)
{
    return (char *)c + k->offset;
}

static void set_string(struct config *c, const struct config_key *k, const char *value)
{
    char **field = field_of(c, k);
    free(*field);
    *field = xstrdup(value);
}

static int set_number(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                      struct error **err)
{
    uint64_t value = yyjson_is_uint(v) ? yyjson_get_uint(v) : 0;

    if (!yyjson_is_uint(v) || value < k->min || value > k->max) {
        _cleanup_free_ char *expected =
            xasprintf("a whole number from %llu to %llu", (unsigned long long)k->min, (unsigned long long)k->max);
        return wrong_value(at, k->path, err, expected);
    }
    if (k->type == KEY_U32)
        *(uint32_t *)field_of(c, k) = (uint32_t)value;
    else
        *(uint64_t *)field_of(c, k) = value;
    return 0;
}

/* A number counts seconds, as that of every other key of time does. */
static int set_duration(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                        struct error **err)
{
    struct str text = {yyjson_get_str(v), yyjson_get_len(v)};
    uint64_t seconds = yyjson_is_uint(v) ? yyjson_get_uint(v) : 0;

    if (yyjson_is_str(v) ? duration_parse(text, k->max, &seconds) < 0 : !yyjson_is_uint(v) || seconds > k->max)
        return wrong_value(at, k->path, err, "seconds, or a duration like 90s, 30m, 12h, 2d, or never; a year at most");
    *(uint64_t *)field_of(c, k) = seconds;
    return 0;
}

/* Bytes: «10Gi», or a number of them. */
static int set_quantity(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                        struct error **err)
{
    uint64_t value = yyjson_get_uint(v);
    bool is_amount = yyjson_is_str(v) ? quantity_parse(str_from(yyjson_get_str(v)), k->max, &value) == 0
                                      : yyjson_is_uint(v) && value <= k->max;

    if (!is_amount || value < k->min)
        return wrong_value(at, k->path, err, "an amount of bytes from 1Mi to 8Pi, as 10Gi is one");
    *(uint64_t *)field_of(c, k) = value;
    return 0;
}

static bool is_host(struct str s)
{
    if (s.n == 0 || s.n > 253)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && s.p[i] != ':')
            return false;
    return true;
}

static int set_hosts(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                     struct error **err)
{
    struct str rest = str_from(yyjson_get_str(v)), part;
    size_t n = 0;

    if (!yyjson_is_str(v))
        return wrong_value(at, k->path, err, "a host name or address (or several, separated by commas)");
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!is_host(part))
            return wrong_value(at, k->path, err, "a host name or address (or several, separated by commas)");
        c->hosts = xreallocarray(c->hosts, n + 2, sizeof(*c->hosts));
        c->hosts[n++] = xstrndup(part.p, part.n);
        c->hosts[n] = NULL;
    }
    return 0;
}

/* An empty list is one, with nothing in it. */
static int set_strings(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                       struct error **err)
{
    char ***field = field_of(c, k);
    size_t i, max, n = 0;
    yyjson_val *one;

    if (!yyjson_is_arr(v))
        return wrong_value(at, k->path, err, "a list of texts");
    *field = xcalloc(yyjson_arr_size(v) + 1, sizeof(char *));
    yyjson_arr_foreach (v, i, max, one) {
        if (!yyjson_is_str(one) || yyjson_get_len(one) == 0)
            return wrong_value(at, k->path, err, "a list of texts");
        (*field)[n++] = xstrdup(yyjson_get_str(one));
    }
    return 0;
}

static int set_portion(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                       struct error **err)
{
    struct portion p;

    if (!yyjson_is_str(v) || portion_parse((struct str){yyjson_get_str(v), yyjson_get_len(v)}, &p) < 0)
        return wrong_value(at, k->path, err, PORTION_IS " of the memory");
    *(struct portion *)field_of(c, k) = p;
    return 0;
}

static int set_listen(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                      struct error **err)
{
    struct listen_address *field = field_of(c, k), parsed;

    if (!yyjson_is_str(v))
        return wrong_value(at, k->path, err, "HOST:PORT or HOST:FIRST-LAST");
    if (listen_parse(yyjson_get_str(v), &parsed, err) < 0)
        return error_wrap(err, "%s:%zu: %s", at->file, line_of(at, k->path), k->path);
    free(field->host);
    *field = parsed;
    return 0;
}

static int apply_key(struct config *c, const struct config_key *k, yyjson_val *v, const struct key_place *at,
                     struct error **err)
{
    switch (k->type) {
    case KEY_STRING:
        if (!yyjson_is_str(v) || yyjson_get_len(v) == 0)
            return wrong_value(at, k->path, err, "a text");
        set_string(c, k, yyjson_get_str(v));
        return 0;
    case KEY_PATH:
        if (!yyjson_is_str(v) || yyjson_get_str(v)[0] != '/')
            return wrong_value(at, k->path, err, "an absolute path");
        set_string(c, k, yyjson_get_str(v));
        return 0;
    case KEY_BOOL:
        if (!yyjson_is_bool(v))
            return wrong_value(at, k->path, err, "true or false");
        *(bool *)field_of(c, k) = yyjson_get_bool(v);
        return 0;
    case KEY_U32:
    case KEY_U64:
        return set_number(c, k, v, at, err);
    case KEY_DURATION:
        return set_duration(c, k, v, at, err);
    case KEY_HOSTS:
        return set_hosts(c, k, v, at, err);
    case KEY_LISTEN:
        return set_listen(c, k, v, at, err);
    case KEY_STRINGS:
        return set_strings(c, k, v, at, err);
    case KEY_PORTION:
        return set_portion(c, k, v, at, err);
    case KEY_QUANTITY:
        return set_quantity(c, k, v, at, err);
    case KEY_SEEN:
        log_warning("%s:%zu: %s has no effect: %s", at->file, line_of(at, k->path), k->path, k->note);
        return 0;
    }
    return 0;
}

size_t config_numeric_keys(struct key_bounds *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(config_keys) && n < max; i++)
        if (config_keys[i].type == KEY_U32 || config_keys[i].type == KEY_U64)
            out[n++] = (struct key_bounds){config_keys[i].path, config_keys[i].min, config_keys[i].max};
    return n;
}

static const struct config_key *find_key(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++)
        if (streq(config_keys[i].path, name))
            return &config_keys[i];
    return NULL;
}

int config_apply_file(struct config *c, yyjson_val *root, const struct map *lines, const char *file, struct error **err)
{
    const struct key_place at = {file, lines};
    yyjson_val *name, *value;
    yyjson_obj_iter it;

    if (yyjson_is_null(root))
        return 0;
    if (!yyjson_is_obj(root))
        return error_set(err, REASON_INVALID, "%s:1: expected keys and values", file);
    yyjson_obj_iter_init(root, &it);
    while ((name = yyjson_obj_iter_next(&it))) {
        const char *text = yyjson_get_str(name);
        const struct config_key *k = find_key(text);
        value = yyjson_obj_iter_get_val(name);
        if (k && yyjson_obj_get(root, text) != value)
            return error_set(err, REASON_INVALID, "%s:%zu: %s is given twice", file, line_of(&at, text), text);
        if (k == NULL)
            log_warning("%s:%zu: unknown key %s", file, line_of(&at, text), text);
        else if (!yyjson_is_null(value) && apply_key(c, k, value, &at, err) < 0)
            return -1;
    }
    return 0;
}
