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

static void print_processes(const struct config *c)
{
    if (c->pids_limit)
        printf("pidsPerDevice: %u\n", c->pids_limit);
    else
        printf("# pidsPerDevice: %u for each of the default memory\n", config_processes(c, c->default_ram_mib));
    printf("maxPidsPerDevice: %u\n", config_max_processes(c));
}

static void print_portion(const char *name, const struct portion *p)
{
    if (p->percent)
        printf("%s: %u%%\n", name, p->percent);
    else
        printf("%s: %llu\n", name, (unsigned long long)p->bytes);
}

int command_check_config(const struct config *c, int argc, char **argv)
{
    _cleanup_free_ char *dashboard = config_dashboard_url(c);

    printf("# %s\n", c->file ? c->file : "no configuration file: defaults and flags");
    printf("dataDirectory: %s\nruntimeDirectory: %s\nwebDirectory: %s\n", c->data, c->runtime, c->web);
    print_listen("dashboardListen", &c->dashboard);
    print_listen("environmentListen", &c->environments);
    print_listen("apiListen", &c->api);
    printf("# dashboard: %s\n", dashboard);
    print_set("publicAddress", c->public_address);
    if (c->public_address)
        printf("environmentPublicAddress: %s{port}%s\n", c->public_environments.before, c->public_environments.after);
    if (c->trusted_proxies)
        printf("trustedProxies:%s\n", c->trusted_proxies[0] ? "" : " []");
    for (char **i = c->trusted_proxies; i && *i; i++)
        printf("- %s\n", *i);
    printf("insecure: %s\ndisableAuth: %s\n", c->insecure ? "true" : "false", c->disable_auth ? "true" : "false");
    printf("workspacePath: %s\n", c->workspace_path);
    printf("defaultSandbox: %s\ndefaultCpuPerDevice: %llu\ndefaultRamPerDevice: %llu\n", c->default_sandbox,
           (unsigned long long)c->default_cpu_milli, (unsigned long long)c->default_ram_mib);
    print_processes(c);
    print_portion("shmPerDevice", &c->shm);
    print_portion("tmpPerDevice", &c->tmp);
    printf("maxCpuPerDevice: %llu\nmaxRamPerDevice: %llu\n", (unsigned long long)config_max_cpu_milli(c),
           (unsigned long long)config_max_ram_mib(c));
    printf("idleStop: %llu\nkeepUntilMax: %llu\n", (unsigned long long)c->idle_stop_seconds,
           (unsigned long long)c->keep_until_max_seconds);
    printf("minimumFreeDisk: %llu\n", (unsigned long long)c->minimum_free_mib);
    if (c->home_quota)
        printf("homeQuota: %llu\n", (unsigned long long)c->home_quota);
    if (c->max_home_quota)
        printf("maxHomeQuota: %llu\n", (unsigned long long)c->max_home_quota);
    if (c->allowed_images)
        printf("allowedImages: # of sandboxes\n");
    for (char **i = c->allowed_images; i && *i; i++)
        printf("- %s\n", *i);
    printf("defaultGpuPerDevice: %u\nuseDefaultGpuConfigWhenZeroIsGiven: %s\nstudentGpuLimit: %u\n", c->default_gpu,
           c->use_default_gpu ? "true" : "false", c->student_gpu_limit);
    print_set("defaultGpuDriver", c->gpu_driver);
    printf("gpuResourceKeys:%s\n", c->gpu_resources[0] ? "" : " []");
    for (char **i = c->gpu_resources; *i; i++)
        printf("- %s\n", *i);
    print_set("gpuTimeSlicing", c->gpu_time_slicing_file);
    printf("hostIdBase: %u\nhostIdRanges: %u\nallowRootImages: %s\n", c->host_id_base, c->host_id_count,
           c->allow_root_images ? "true" : "false");
    printf("sessionSeconds: %u\nsessionMaxSeconds: %u\ncertificateCheckSeconds: %u\n", c->session_seconds,
           c->session_max_seconds, c->certificate_check_seconds);
    print_set("jupyterLabHostBaseDir", c->jupyter_lab_base);
    print_set("vscodeBasePath", c->vscode_base);
    print_set("datasetBasePath", c->dataset_path);
    print_set("courseBasePath", c->course_path);
    printf("datasetMaxSize: %llu\ncourseMaxSize: %llu\n", (unsigned long long)c->dataset_max_bytes,
           (unsigned long long)c->course_max_bytes);
    print_set("homeSkeleton", c->home_skeleton);
    print_set("timeZone", c->time_zone);
    print_set("language", c->language);
    print_set("pipIndex", c->pip_index);
    print_set("pipFindLinks", c->pip_find_links);
    print_set("engineSocket", c->engine_socket);
    print_set("gpuLibrary", c->gpu_library);
    return 0;
}
