/* Host: what its runner reports is given out, and who has it is said. */
#include "server/hooks/allocation.h"
#include "server/hooks/gpu_sharing.h"
#include "server/hooks/gpus.h"

static int admit_host(struct admission *a, struct store_txn *t, struct error **err)
{
    struct allotment al = {.t = t, .context = a->context, .arena = a->arena, .current = a};

    if (a->operation == OPERATION_DELETE)
        return 0;
    if (a->operation != OPERATION_UPDATE_STATUS)
        gpu_sharing_write(a, t);
    allocation_changed(a, t, false);
    host_given_write(&al, a->doc, a->object);
    return 0;
}

/* Who has units of it keeps them until it ends. */
static int host_removed(struct admission *a, struct store_txn *t, struct error **err)
{
    allocation_changed(a, t, true);
    return 0;
}

const struct kind_hooks host_hooks = {.admit = admit_host, .removed = host_removed};
