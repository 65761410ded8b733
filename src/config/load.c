/* Reads the configuration: defaults, the file, flags; then what is missing, and whether it all fits. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/yaml.h"
#include "config/keys.h"
#include "config/places.h"
#include "config/public.h"
#include "config/region.h"
#include "config/state.h"
#include "config/time_slicing.h"

#define DEFAULT_FILE "/etc/open-hydra/config.yaml"
#define MAX_FILE_BYTES ((size_t)1 << 20)
#define HOST_ID_RANGE 65536

static struct config *config_new(void)
{
    struct config *c = xcalloc(1, sizeof(*c));

    c->dashboard = (struct listen_address){xstrdup("127.0.0.1"), 30001, 30001};
    c->environments = (struct listen_address){xstrdup("127.0.0.1"), 31000, 31999};
    c->api = (struct listen_address){xstrdup("127.0.0.1"), 30443, 30443};
    c->default_cpu_milli = 2000;
    c->default_ram_mib = 8192;
    c->default_sandbox = xstrdup("jupyter-lab");
    c->gpu_driver = xstrdup("nvidia.com/gpu");
    c->idle_stop_seconds = 12 * 3600;
    c->keep_until_max_seconds = 24 * 3600;
    c->shm.percent = c->tmp.percent = 50; /* as the kernel does it for a machine */
    c->minimum_free_mib = 512;
    c->dataset_mount = xstrdup("/home/student/dataset-public");
    c->course_mount = xstrdup("/home/student/course-public");
    c->dataset_max_bytes = c->course_max_bytes = UINT64_C(10) << 30;
    /* The first range above what systemd gives to containers (0x70000000); range 0 is for the service users. */
    c->host_id_base = 1879048192;
    c->host_id_size = HOST_ID_RANGE;
    c->host_id_count = 8192;
    c->session_seconds = 12 * 3600;
    c->session_max_seconds = 7 * 24 * 3600;
    c->certificate_check_seconds = 3600;
    return c;
}

static int read_file_keys(struct config *c, const char *file, struct error **err)
{
    struct map *lines = NULL;
    size_t n;
    _cleanup_free_ char *text = read_file(file, MAX_FILE_BYTES, &n, err);

    if (text == NULL)
        return error_wrap(err, "configuration");
    _cleanup_json_ yyjson_doc *doc = yaml_parse((struct str){text, n}, &lines, err);
    if (doc == NULL)
        return error_wrap(err, "%s", file);
    int rc = config_apply_file(c, yyjson_doc_get_root(doc), lines, file, err);
    map_free(lines, NULL);
    if (rc == 0)
        c->file = xstrdup(file);
    return rc;
}

static void replace_text(char **field, char *value)
{
    free(*field);
    *field = value;
}

static int set_absolute_path(char **field, const char *given, const char *flag, struct error **err)
{
    char cwd[PATH_MAX];

    if (given == NULL)
        return 0;
    if (given[0] == '/')
        replace_text(field, xstrdup(given));
    else if (getcwd(cwd, sizeof(cwd)))
        replace_text(field, xasprintf("%s/%s", cwd, starts_with(given, "./") ? given + 2 : given));
    else
        return error_errno(err, errno, "%s", flag);
    return 0;
}

static int set_listen_flag(struct listen_address *field, const char *given, const char *flag, struct error **err)
{
    struct listen_address parsed;

    if (given == NULL)
        return 0;
    if (listen_parse(given, &parsed, err) < 0)
        return error_wrap(err, "%s", flag);
    free(field->host);
    *field = parsed;
    return 0;
}

static int apply_flags(struct config *c, const struct config_flags *f, struct error **err)
{
    c->insecure |= f->insecure;
    if (set_absolute_path(&c->data, f->data, "--data", err) < 0 ||
        set_absolute_path(&c->web, f->web, "--web", err) < 0 ||
        set_absolute_path(&c->runtime, f->runtime, "--runtime", err) < 0 ||
        set_absolute_path(&c->engine_socket, f->engine_socket, "--engine-socket", err) < 0)
        return -1;
    if (set_listen_flag(&c->dashboard, f->dashboard_listen, "--dashboard-listen", err) < 0 ||
        set_listen_flag(&c->environments, f->environment_listen, "--environment-listen", err) < 0 ||
        set_listen_flag(&c->api, f->api_listen, "--api-listen", err) < 0)
        return -1;
    return 0;
}

static bool has_host(const struct config *c, const char *host)
{
    for (char **h = c->hosts; h && *h; h++)
        if (streq(*h, host))
            return true;
    return false;
}

static void add_host(struct config *c, const char *host)
{
    size_t n = 0;

    if (host == NULL || has_host(c, host))
        return;
    while (c->hosts && c->hosts[n])
        n++;
    c->hosts = xreallocarray(c->hosts, n + 2, sizeof(*c->hosts));
    c->hosts[n] = xstrdup(host);
    c->hosts[n + 1] = NULL;
}

/* Every name by which a browser may rightly come: those configured, then the addresses listened on. */
static void complete_hosts(struct config *c)
{
    const struct listen_address *all[] = {&c->dashboard, &c->environments, &c->api};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (!listen_is_wildcard(all[i])) {
            add_host(c, all[i]->host);
        } else {
            _cleanup_free_ char *own = first_address_of_this_machine();
            add_host(c, own);
        }
    }
    add_host(c, "127.0.0.1");
    add_host(c, "localhost");
}

static void complete_paths(struct config *c)
{
    if (c->data == NULL)
        c->data = state_default();
    state_move_if_closed(&c->data);
    if (c->runtime == NULL)
        c->runtime = runtime_default();
    if (c->web == NULL)
        c->web = xstrdup(INSTALLED_WEB);
    if (c->workspace_path == NULL)
        c->workspace_path = xasprintf("%s/" PLACE_WORKSPACE, c->data);
    if (c->dataset_path == NULL)
        c->dataset_path = xasprintf("%s/" PLACE_DATASETS, c->data);
    if (c->course_path == NULL)
        c->course_path = xasprintf("%s/" PLACE_COURSES, c->data);
}

static void complete_gpus(struct config *c)
{
    if (c->gpu_resources)
        return;
    c->gpu_resources = xcalloc(3, sizeof(*c->gpu_resources));
    c->gpu_resources[0] = xstrdup("nvidia.com/gpu");
    c->gpu_resources[1] = xstrdup("amd.com/gpu");
}

#define ZONES "/usr/share/zoneinfo"

static int check_time_zone(const char *name, struct error **err)
{
    _cleanup_free_ char *path = xasprintf(ZONES "/%s", name);

    if (!is_time_zone_name(name))
        return error_set(err, REASON_INVALID, "timeZone: \"%s\" is no name of a time zone, as Asia/Shanghai is one",
                         name);
    if (path_exists(ZONES) && !path_exists(path))
        return error_set(err, REASON_INVALID,
                         "timeZone: there is no \"%s\" in " ZONES " (old names are in Debian's tzdata-legacy)", name);
    return 0;
}

static int complete_region(struct config *c, struct error **err)
{
    if (c->time_zone && check_time_zone(c->time_zone, err) < 0)
        return -1;
    if (c->time_zone == NULL)
        c->time_zone = machine_time_zone("");
    if (c->language == NULL) {
        c->language = machine_language("");
        return 0;
    }
    char *tag = language_tag(c->language);
    if (tag == NULL)
        return error_set(err, REASON_INVALID, "language: \"%s\" names no language, as zh-CN, en or zh_CN.UTF-8 do",
                         c->language);
    replace_text(&c->language, tag);
    return 0;
}

/* What goes into an environment's variables as it is. */
static int check_index(const char *url, struct error **err)
{
    const char *rest = url == NULL                    ? "x"
                       : starts_with(url, "https://") ? url + strlen("https://")
                       : starts_with(url, "http://")  ? url + strlen("http://")
                                                      : "";
    bool plain = *rest != '\0' && *rest != '/';

    for (const char *c = rest; *c; c++)
        plain &= *c > ' ' && *c < 0x7f;
    if (plain)
        return 0;
    return error_set(err, REASON_INVALID,
                     "pipIndex: \"%s\" is no address of a package index, as https://pypi.school.example/simple is one",
                     url);
}

/* Whoever may not look lets others say so. */
static int check_folder(const char *key, const char *path, struct error **err)
{
    struct stat st;

    if (path == NULL || (stat(path, &st) < 0 ? errno == EACCES : S_ISDIR(st.st_mode)))
        return 0;
    return error_set(err, REASON_INVALID, "%s: there is no folder %s", key, path);
}

static int check_packages(const struct config *c, struct error **err)
{
    if (check_index(c->pip_index, err) < 0 || check_folder("pipFindLinks", c->pip_find_links, err) < 0)
        return -1;
    return check_folder("homeSkeleton", c->home_skeleton, err);
}

static int read_time_slicing(struct config *c, struct error **err)
{
    size_t n;

    if (c->gpu_time_slicing_file == NULL)
        return 0;
    _cleanup_free_ char *text = read_file(c->gpu_time_slicing_file, MAX_FILE_BYTES, &n, err);
    if (text == NULL)
        return error_wrap(err, "gpuTimeSlicing");
    c->gpu_time_slicing = time_slicing_parse((struct str){text, n}, c->gpu_time_slicing_file, err);
    return c->gpu_time_slicing ? 0 : error_wrap(err, "gpuTimeSlicing");
}

static int check_ids(const struct config *c, struct error **err)
{
    uint64_t last = (uint64_t)c->host_id_base + (uint64_t)c->host_id_count * c->host_id_size;

    if (c->host_id_base % c->host_id_size != 0)
        return error_set(err, REASON_INVALID, "hostIdBase: %u is no multiple of %u", c->host_id_base, c->host_id_size);
    if (last > UINT32_MAX)
        return error_set(err, REASON_INVALID, "hostIdRanges: %u ranges from %u exceed the ids of the system",
                         c->host_id_count, c->host_id_base);
    return 0;
}

static int check_processes(const struct config *c, struct error **err)
{
    if (c->max_pids == 0 || c->pids_limit <= c->max_pids)
        return 0;
    return error_set(err, REASON_INVALID, "pidsPerDevice: %u is more than maxPidsPerDevice (%u)", c->pids_limit,
                     c->max_pids);
}

static int check_quota(const struct config *c, struct error **err)
{
    if (c->max_home_quota && c->home_quota > c->max_home_quota)
        return error_set(err, REASON_INVALID, "homeQuota: more than maxHomeQuota");
    return 0;
}

static int check_networks(const struct config *c, struct error **err)
{
    struct network network;

    for (char **n = c->environment_networks; n && *n; n++)
        if (network_parse(str_from(*n), &network) < 0)
            return error_set(err, REASON_INVALID, "environmentNetworks: \"%s\" is no network, as 10.42.0.0/16 is one",
                             *n);
    return 0;
}

static int check_content_sources(const struct config *c, struct error **err)
{
    for (char **s = c->content_sources; s && *s; s++)
        if (**s != '/' && (!starts_with(*s, "https://") || strchr("/:", (*s)[strlen("https://")])))
            return error_set(
                err, REASON_INVALID,
                "contentSources: \"%s\" is neither a folder's absolute path nor an address, https://HOST/…", *s);
    return 0;
}

/* Whatever their hosts: links, cookies and the rules of the gateway tell dashboard and environments apart by port
 * alone, under the same names. */
static bool ports_overlap(const struct listen_address *a, const struct listen_address *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int check_listeners(const struct config *c, struct error **err)
{
    if (c->dashboard.first != c->dashboard.last || c->api.first != c->api.last)
        return error_set(err, REASON_INVALID, "dashboard and API have one port each");
    if (ports_overlap(&c->dashboard, &c->api) || ports_overlap(&c->dashboard, &c->environments) ||
        ports_overlap(&c->api, &c->environments))
        return error_set(err, REASON_INVALID, "the ports of dashboard (%u), API (%u) and environments (%u-%u) overlap",
                         c->dashboard.first, c->api.first, c->environments.first, c->environments.last);
    bool local =
        listen_is_loopback(&c->dashboard) && listen_is_loopback(&c->environments) && listen_is_loopback(&c->api);
    if (c->disable_auth && !local && !c->insecure)
        return error_set(err, REASON_INVALID,
                         "disableAuth on other than loopback addresses makes everybody an administrator: "
                         "it needs --insecure as well");
    if ((c->certificate == NULL) != (c->certificate_key == NULL))
        return error_set(err, REASON_INVALID, "tlsCertificate and tlsCertificateKey go together");
    return 0;
}

struct config *config_load(const struct config_flags *flags, struct error **err)
{
    struct config *c = config_new();
    const char *file = flags->file ? flags->file : path_exists(DEFAULT_FILE) ? DEFAULT_FILE : NULL;

    if ((file && read_file_keys(c, file, err) < 0) || apply_flags(c, flags, err) < 0) {
        config_free(c);
        return NULL;
    }
    complete_paths(c);
    complete_hosts(c);
    complete_gpus(c);
    c->server_id = c->host_id_base + 1;
    c->gateway_id = c->host_id_base + 2;
    if (read_time_slicing(c, err) < 0 || check_ids(c, err) < 0 || check_processes(c, err) < 0 ||
        check_quota(c, err) < 0 || complete_region(c, err) < 0 || check_packages(c, err) < 0 ||
        check_networks(c, err) < 0 || check_content_sources(c, err) < 0 || check_listeners(c, err) < 0 ||
        public_complete(c, err) < 0 || places_check(c, err) < 0) {
        config_free(c);
        return NULL;
    }
    return c;
}

static void free_strings(char **list)
{
    for (char **i = list; i && *i; i++)
        free(*i);
    free(list);
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    char *const strings[] = {c->file,
                             c->data,
                             c->runtime,
                             c->web,
                             c->dashboard.host,
                             c->environments.host,
                             c->api.host,
                             c->public_address,
                             c->environment_public_address,
                             c->public_environments.before,
                             c->public_environments.after,
                             c->certificate,
                             c->certificate_key,
                             c->default_sandbox,
                             c->workspace_path,
                             c->jupyter_lab_base,
                             c->vscode_base,
                             c->dataset_path,
                             c->course_path,
                             c->dataset_mount,
                             c->course_mount,
                             c->home_skeleton,
                             c->time_zone,
                             c->language,
                             c->pip_index,
                             c->pip_find_links,
                             c->engine_socket,
                             c->gpu_library,
                             c->gpu_driver,
                             c->gpu_time_slicing_file,
                             c->content_authority};
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        free(strings[i]);
    free_strings(c->hosts);
    free_strings(c->allowed_images);
    free_strings(c->gpu_resources);
    time_slicing_free(c->gpu_time_slicing);
    free_strings(c->environment_networks);
    free_strings(c->trusted_proxies);
    free_strings(c->content_sources);
    free(c);
}
