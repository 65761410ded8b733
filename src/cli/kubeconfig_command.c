/* `kubeconfig`: how kubectl gets here, with an administrator's certificate. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/kubeconfig.h"

static int renew_kubeconfig(const struct config *c, const struct layout *l, struct error **err)
{
    const struct pki_options options = kubeconfig_pki(c, l);
    _cleanup_free_ char *url = config_api_url(c);

    if (pki_ensure(&options, err) < 0)
        return -1;
    return pki_renew_kubeconfig(&options, url, l->kubeconfig, err);
}

int command_kubeconfig(const struct config *config, int argc, char **argv)
{
    bool renew = argc > 1 && streq(argv[1], "--renew");
    struct layout *l = layout_new(config);
    struct error *err = NULL;
    int rc = layout_make(l, config, &err);

    if (rc == 0)
        rc = renew ? renew_kubeconfig(config, l, &err) : kubeconfig_ensure(config, l, &err);
    if (rc == 0)
        printf("export KUBECONFIG=%s\n", l->kubeconfig);
    layout_free(l);
    return rc == 0 ? 0 : command_fail(err);
}
