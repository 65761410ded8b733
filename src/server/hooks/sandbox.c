/* Sandbox: what is kept and does nothing yet is said. */
#include "server/hooks/context.h"

static int admit(struct admission *a, struct store_txn *t, struct error **err)
{
    static const char *const kept[] = {"gpuImageSet", "ports", "volumes", "volumeMounts"};
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    if (a->operation != OPERATION_CREATE && a->operation != OPERATION_UPDATE)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (yyjson_mut_obj_get(spec, kept[i]))
            admission_warn(a, "spec.%s is kept and has no effect yet", kept[i]);
    if (yyjson_mut_obj_get(spec, "socket") == NULL)
        admission_warn(a, "spec.socket is not set: images that listen on TCP alone cannot be started yet");
    return 0;
}

const struct kind_hooks sandbox_hooks = {.admit = admit};
