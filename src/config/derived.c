/* What follows from the configuration. */
#include <fnmatch.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/public.h"
#include "config/time_slicing.h"

uint64_t config_max_cpu_milli(const struct config *c)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return c->max_cpu_milli ? c->max_cpu_milli : n > 0 ? (uint64_t)n * 1000 : c->default_cpu_milli;
}

uint64_t config_max_ram_mib(const struct config *c)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return c->max_ram_mib ? c->max_ram_mib : pages > 0 ? (uint64_t)pages * (uint64_t)size >> 20 : c->default_ram_mib;
}

/* A process that does nothing takes some 100 KiB of the kernel's; a kernel of Jupyter's has twelve threads. */
#define PROCESSES_MIN 256
#define MIB_PER_PROCESS 8
#define PROCESSES_MAX 4096

unsigned config_max_processes(const struct config *c)
{
    if (c->max_pids)
        return c->max_pids;
    return c->pids_limit > PROCESSES_MAX ? c->pids_limit : PROCESSES_MAX;
}

unsigned config_processes(const struct config *c, uint64_t ram_mib)
{
    uint64_t n = c->pids_limit                               ? c->pids_limit
                 : ram_mib / MIB_PER_PROCESS < PROCESSES_MIN ? PROCESSES_MIN
                                                             : ram_mib / MIB_PER_PROCESS;
    unsigned most = config_max_processes(c);
    return n < most ? (unsigned)n : most;
}

unsigned config_gpu_units(const struct config *c, const char *resource, const char *model)
{
    return time_slicing_replicas(c->gpu_time_slicing, resource, model);
}

bool config_image_allowed(const struct config *c, const char *image)
{
    if (c->allowed_images == NULL)
        return true;
    for (char **i = c->allowed_images; *i; i++)
        if (fnmatch(*i, image, 0) == 0)
            return true;
    return false;
}

bool config_browser_tls(const struct config *c)
{
    if (c->certificate)
        return true;
    return !c->insecure && !(listen_is_loopback(&c->dashboard) && listen_is_loopback(&c->environments));
}

static char *url_of(const struct config *c, bool tls, uint16_t port)
{
    const char *host = c->hosts[0];
    bool v6 = strchr(host, ':') != NULL;

    return xasprintf("%s://%s%s%s:%u", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

char *config_environment_url(const struct config *c, uint16_t port)
{
    return c->public_address ? public_environment_origin(c, port) : url_of(c, config_browser_tls(c), port);
}

char *config_dashboard_url(const struct config *c)
{
    return c->public_address ? xstrdup(c->public_address) : url_of(c, config_browser_tls(c), c->dashboard.first);
}

/* As browsers write an origin: without the scheme's own port. */
static char *origin_of(char *url)
{
    const char *own = starts_with(url, "https:") ? ":443" : ":80";

    if (ends_with(url, own))
        url[strlen(url) - strlen(own)] = '\0';
    return url;
}

char *config_environment_origin(const struct config *c, uint16_t port)
{
    return origin_of(config_environment_url(c, port));
}

char *config_dashboard_origin(const struct config *c)
{
    return origin_of(config_dashboard_url(c));
}

char *config_api_url(const struct config *c)
{
    return url_of(c, true, c->api.first);
}

bool config_is_proxied(const struct config *c)
{
    return c->trusted_proxies && c->trusted_proxies[0];
}

bool config_host_allowed(const struct config *c, const char *host_header, uint16_t port)
{
    if (host_header == NULL)
        return false;
    for (char **h = c->hosts; *h; h++) {
        bool v6 = strchr(*h, ':') != NULL;
        _cleanup_free_ char *bare = xasprintf("%s%s%s", v6 ? "[" : "", *h, v6 ? "]" : "");
        _cleanup_free_ char *full = xasprintf("%s:%u", bare, port);
        /* A browser leaves its scheme's own port out. */
        if (strcasecmp(host_header, full) == 0 || ((port == 80 || port == 443) && strcasecmp(host_header, bare) == 0))
            return true;
    }
    return false;
}
