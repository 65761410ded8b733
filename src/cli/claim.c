#include "cli/claim.h"

#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

/* As the runner names an installation: one folder, by whatever way. */
static char *own_name(const struct config *c)
{
    char path[PATH_MAX];

    return xstrdup(realpath(c->data, path) ? path : c->data);
}

static char *read_claim_file(const char *path)
{
    size_t n;

    return path_exists(path) ? read_file(path, PATH_MAX, &n, NULL) : NULL;
}

int claim_check(const struct layout *l, const struct config *c, struct error **err)
{
    _cleanup_free_ char *own = own_name(c), *claimed = read_claim_file(l->claim);

    if (claimed == NULL || streq(claimed, own) || !has_entry(l->environments))
        return 0;
    return error_set(err, REASON_CONFLICT,
                     "environments of %s have their sockets in %s: `open-hydra-server down --data %s --runtime %s` "
                     "ends them, or give this one another --runtime",
                     claimed, l->environments, claimed, c->runtime);
}

int claim_runtime(const struct layout *l, const struct config *c, struct error **err)
{
    _cleanup_free_ char *own = own_name(c), *claimed = read_claim_file(l->claim);
    _cleanup_error_ struct error *why = NULL;

    if (claim_check(l, c, err) < 0)
        return -1;
    /* The same again needs no disk, which may be full; then nobody else begins either. */
    if ((claimed == NULL || !streq(claimed, own)) && write_file_atomic(l->claim, str_from(own), 0600, &why) < 0)
        log_warning("%s", why->message);
    return 0;
}
