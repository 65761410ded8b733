/* Sandbox: what the runner could never start is refused, what is kept and does nothing yet is said. */
#include "kinds/sandbox.h"

#include "server/hooks/context.h"
#include "server/hooks/pull_secret.h"

static int check_sandbox(struct admission *a, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = yyjson_mut_val_imut_copy(a->object, NULL);
    struct sandbox s;

    sandbox_read(yyjson_doc_get_root(doc), &s);
    return sandbox_check(&s, err);
}

static void warn_of_volumes(struct admission *a, yyjson_mut_val *volumes)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(volumes);
    yyjson_mut_val *one;

    for (size_t i = 0; (one = yyjson_mut_arr_iter_next(&iter)); i++)
        if (!yyjson_mut_obj_get(one, "emptyDir"))
            admission_warn(a, "spec.volumes[%zu] is kept and has no effect yet: only emptyDir has", i);
}

/* The runner holds to it, whatever is stored. */
static void warn_of_processes(struct admission *a, yyjson_mut_val *spec)
{
    const struct hook_context *context = a->context;
    int64_t n = yyjson_mut_get_sint(yyjson_mut_obj_get(spec, "processes"));
    unsigned most = config_max_processes(context->config);

    if (n > most)
        admission_warn(a, "spec.processes: more than %u (maxPidsPerDevice): no environment of it can be started", most);
}

static void warn_of_no_effect(struct admission *a)
{
    yyjson_mut_val *spec = json_mut_at(a->object, "spec");

    warn_of_volumes(a, yyjson_mut_obj_get(spec, "volumes"));
    warn_of_processes(a, spec);
    size_t ports = yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "ports"));
    bool socket = yyjson_mut_obj_get(spec, "socket");
    if (!socket && ports == 0)
        admission_warn(a,
                       "neither spec.socket nor spec.ports says where it listens: no environment of it can be started");
}

static int admit_sandbox(struct admission *a, struct store_txn *t, struct error **err)
{
    if (a->operation == OPERATION_UPDATE_STATUS)
        pull_secret_keep_status(a);
    if (a->operation != OPERATION_CREATE && a->operation != OPERATION_UPDATE)
        return 0;
    if (check_sandbox(a, err) < 0 || pull_secret_admit(a, t, err) < 0)
        return -1;
    warn_of_no_effect(a);
    return 0;
}

static int sandbox_removed(struct admission *a, struct store_txn *t, struct error **err)
{
    pull_secret_forget(a, t);
    return 0;
}

static const struct subresource_handler subresources[] = {
    {"pullsecret", FLOW_REQUESTS, pull_secret_tell},
    {0},
};

const struct kind_hooks sandbox_hooks = {
    .admit = admit_sandbox, .removed = sandbox_removed, .subresources = subresources};
