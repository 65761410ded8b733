#include "server/hooks/device_gone.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "server/hooks/allocation.h"
#include "server/hooks/device_endpoint.h"
#include "server/hooks/device_idle.h"
#include "server/hooks/device_status.h"
#include "server/hooks/home_totals.h"
#include "server/hooks/objects.h"
#include "server/hooks/user_gone.h"
#include "server/model/metadata.h"

struct owner_of {
    const char *device;
    char *owner;
};

static bool is_owner_of(void *arg, struct str owner, struct str device)
{
    struct owner_of *o = arg;

    if (str_is(device, o->device))
        o->owner = xstrndup(owner.p, owner.n);
    return o->owner == NULL;
}

/* Of a device that cannot be read: as was noted when it was made. */
static const char *noted_owner(struct admission *a, struct store_txn *t)
{
    struct owner_of o = {.device = json_mut_str_at(a->object, "metadata.name")};

    txn_secret_list(t, DEVICE_OF_USER, is_owner_of, &o);
    const char *owner = o.owner ? arena_strdup(a->arena, o.owner) : "";
    free(o.owner);
    return owner;
}

int device_removed(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *owner = json_mut_str_at(a->object, "spec.openHydraUsername");

    if (owner == NULL)
        owner = noted_owner(a, t);
    txn_secret_delete(t, DEVICE_OF_USER, str_from(owner));
    allocation_release(t, a->context, HOLDER_DEVICE, json_mut_str_at(a->object, "metadata.name"));
    endpoint_forget_after_commit(a, t);
    device_note_ended(a, t, owner);
    home_totals_note(a, t, true);
    user_environment_gone(t, a->context, owner);
    return 0;
}

bool device_ask_deletion(struct store_txn *t, struct hook_context *context, const char *name)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_DEVICES, name);
    struct admission a = {
        .doc = doc, .object = doc ? yyjson_mut_doc_get_root(doc) : NULL, .arena = arena, .context = context};

    if (doc == NULL) /* one that was set aside, for it cannot be read, holds the user until somebody deletes it */
        return txn_damaged(t, PLURAL_DEVICES, str_from(name)) != NULL;
    if (metadata_is_deleting(a.object))
        return true;
    device_say_stopping(&a);
    allocation_leave(t, context, name);
    if (!metadata_has_finalizers(a.object)) { /* somebody took ours off: the runner sees for itself that it is gone */
        (void)device_removed(&a, t, NULL);
        object_remove(t, PLURAL_DEVICES, name);
        return false;
    }
    metadata_stamp_deletion(doc, a.object, clock_realtime_us());
    object_write(t, PLURAL_DEVICES, doc);
    return true;
}
