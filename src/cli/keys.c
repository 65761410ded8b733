#include "cli/keys.h"

#include "cli/apart.h"
#include "cli/kubeconfig.h"
#include "cli/nginx.h"

struct keys {
    const struct config *config;
    const struct layout *layout;
};

static int ensure(void *arg, struct error **err)
{
    const struct keys *k = arg;
    int changed = nginx_prepare(k->config, k->layout, err);

    return changed < 0 || kubeconfig_ensure(k->config, k->layout, err) < 0 ? -1 : changed;
}

int keys_ensure(const struct config *c, const struct layout *l, struct error **err)
{
    struct keys k = {c, l};
    return apart(ensure, &k, err);
}
