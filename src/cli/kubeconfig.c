#include "cli/kubeconfig.h"

#include "base/alloc.h"

struct pki_options kubeconfig_pki(const struct config *c, const struct layout *l)
{
    return (struct pki_options){.directory = l->pki, .hosts = (const char *const *)c->hosts};
}

int kubeconfig_ensure(const struct config *c, const struct layout *l, struct error **err)
{
    const struct pki_options options = kubeconfig_pki(c, l);
    _cleanup_free_ char *url = config_api_url(c);

    if (pki_ensure(&options, err) < 0)
        return -1;
    return pki_ensure_kubeconfig(&options, url, l->kubeconfig, err);
}
