/* `check-config`: what holds, after file and flags. */
#include <stdio.h>

#include "base/alloc.h"
#include "cli/command.h"

static void print_listen(const char *name, const struct listen_address *a)
{
    if (a->first == a->last)
        printf("%s: %s:%u\n", name, a->host, a->first);
    else
        printf("%s: %s:%u-%u\n", name, a->host, a->first, a->last);
}

static void print_set(const char *name, const char *value)
{
    if (value)
        printf("%s: %s\n", name, value);
}

/* An empty list is one, and not what is left out. */
static void print_list(const char *name, char **list)
{
    if (list)
        printf("%s:%s\n", name, list[0] ? "" : " []");
    for (char **one = list; one && *one; one++)
        printf("- %s\n", *one);
}

static void print_number(const char *name, uint64_t n)
{
    printf("%s: %llu\n", name, (unsigned long long)n);
}

static void print_bool(const char *name, bool b)
{
    printf("%s: %s\n", name, b ? "true" : "false");
}

/* A text, as the key takes no number. */
static void print_portion(const char *name, const struct portion *p)
{
    if (p->percent)
        printf("%s: %u%%\n", name, p->percent);
    else
        printf("%s: \"%llu\"\n", name, (unsigned long long)p->bytes);
}

/* --- By what they are about --- */

static void print_places(const struct config *c)
{
    printf("dataDirectory: %s\nruntimeDirectory: %s\nwebDirectory: %s\n", c->data, c->runtime, c->web);
    print_set("workspacePath", c->workspace_path);
    print_set("jupyterLabHostBaseDir", c->jupyter_lab_base);
    print_set("vscodeBasePath", c->vscode_base);
    print_set("homeSkeleton", c->home_skeleton);
    print_number("minimumFreeDisk", c->minimum_free_mib);
    if (c->home_quota)
        print_number("homeQuota", c->home_quota);
    if (c->max_home_quota)
        print_number("maxHomeQuota", c->max_home_quota);
}

static void print_hosts(const struct config *c)
{
    printf("serverIP: ");
    for (char **h = c->hosts; h && *h; h++)
        printf("%s%s", h == c->hosts ? "" : ", ", *h);
    printf("\n");
}

static void print_addresses(const struct config *c)
{
    _cleanup_free_ char *dashboard = config_dashboard_url(c);

    print_listen("dashboardListen", &c->dashboard);
    print_listen("environmentListen", &c->environments);
    print_listen("apiListen", &c->api);
    print_hosts(c);
    printf("# dashboard: %s\n", dashboard);
    print_set("publicAddress", c->public_address);
    if (c->public_address)
        printf("environmentPublicAddress: %s{port}%s\n", c->public_environments.before, c->public_environments.after);
    print_list("trustedProxies", c->trusted_proxies);
    print_list("environmentNetworks", c->environment_networks);
    print_bool("insecure", c->insecure);
    print_set("tlsCertificate", c->certificate);
    print_set("tlsCertificateKey", c->certificate_key);
    print_number("certificateCheckSeconds", c->certificate_check_seconds);
}

static void print_logins(const struct config *c)
{
    print_bool("disableAuth", c->disable_auth);
    print_number("sessionSeconds", c->session_seconds);
    print_number("sessionMaxSeconds", c->session_max_seconds);
}

static void print_processes(const struct config *c)
{
    if (c->pids_limit)
        print_number("pidsPerDevice", c->pids_limit);
    else
        printf("# pidsPerDevice: %u for each of the default memory\n", config_processes(c, c->default_ram_mib));
    print_number("maxPidsPerDevice", config_max_processes(c));
}

static void print_environments(const struct config *c)
{
    print_set("defaultSandbox", c->default_sandbox);
    print_number("defaultCpuPerDevice", c->default_cpu_milli);
    print_number("defaultRamPerDevice", c->default_ram_mib);
    print_number("maxCpuPerDevice", config_max_cpu_milli(c));
    print_number("maxRamPerDevice", config_max_ram_mib(c));
    print_processes(c);
    print_portion("shmPerDevice", &c->shm);
    print_portion("tmpPerDevice", &c->tmp);
    print_number("idleStop", c->idle_stop_seconds);
    print_number("keepUntilMax", c->keep_until_max_seconds);
    print_set("timeZone", c->time_zone);
    print_set("language", c->language);
    print_set("pipIndex", c->pip_index);
    print_set("pipFindLinks", c->pip_find_links);
    print_list("allowedImages", c->allowed_images);
    print_set("engineSocket", c->engine_socket);
    print_number("hostIdBase", c->host_id_base);
    print_number("hostIdRanges", c->host_id_count);
    print_bool("allowRootImages", c->allow_root_images);
}

static void print_gpus(const struct config *c)
{
    print_number("defaultGpuPerDevice", c->default_gpu);
    print_bool("useDefaultGpuConfigWhenZeroIsGiven", c->use_default_gpu);
    print_number("studentGpuLimit", c->student_gpu_limit);
    print_set("defaultGpuDriver", c->gpu_driver);
    print_list("gpuResourceKeys", c->gpu_resources);
    print_set("gpuTimeSlicing", c->gpu_time_slicing_file);
    print_set("gpuLibrary", c->gpu_library);
}

static void print_contents(const struct config *c)
{
    print_set("datasetBasePath", c->dataset_path);
    print_set("courseBasePath", c->course_path);
    print_set("datasetStudentMountPath", c->dataset_mount);
    print_set("courseStudentMountPath", c->course_mount);
    print_number("datasetMaxSize", c->dataset_max_bytes);
    print_number("courseMaxSize", c->course_max_bytes);
    print_list("contentSources", c->content_sources);
    print_set("contentAuthority", c->content_authority);
}

int command_check_config(const struct config *c, int argc, char **argv)
{
    printf("# %s\n", c->file ? c->file : "no configuration file: defaults and flags");
    print_places(c);
    print_addresses(c);
    print_logins(c);
    print_environments(c);
    print_gpus(c);
    print_contents(c);
    return 0;
}
