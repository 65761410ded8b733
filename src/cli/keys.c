#include "cli/keys.h"

#include "cli/apart.h"
#include "cli/gateway_files.h"
#include "cli/kubeconfig.h"
#include "cli/nginx.h"

struct keys {
    const struct config *config;
    const struct layout *layout;
};

/* With our rights, in folders of our own. */
static int make_keys(void *arg, struct error **err)
{
    const struct keys *k = arg;

    return kubeconfig_ensure(k->config, k->layout, err);
}

/* Another process: what becomes nginx's user has never read any key but nginx's. */
static int give_keys(void *arg, struct error **err)
{
    const struct keys *k = arg;

    return gateway_files_write(k->config, k->layout, err);
}

int keys_ensure(const struct config *c, const struct layout *l, struct error **err)
{
    struct keys k = {c, l};

    if (nginx_program() == NULL)
        return error_set(err, REASON_NOT_FOUND, "nginx is not installed: tools/setup run (or: apt-get install nginx)");
    return apart(make_keys, &k, err) < 0 ? -1 : apart(give_keys, &k, err);
}
