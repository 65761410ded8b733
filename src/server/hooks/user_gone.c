#include "server/hooks/user_gone.h"

#include "kinds/device.h"
#include "server/accounts/password.h"
#include "server/hooks/allocation.h"
#include "server/hooks/objects.h"
#include "server/model/metadata.h"

void user_forget(struct store_txn *t, struct hook_context *context, const char *name, const char *uid)
{
    txn_secret_delete(t, SECRET_PASSWORD, str_from(uid));
    sessions_end(context->accounts->sessions, t, uid, NULL);
    allocation_release(t, context, HOLDER_USER, name);
}

void user_environment_gone(struct store_txn *t, struct hook_context *context, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, PLURAL_USERS, name);
    yyjson_mut_val *user = doc ? yyjson_mut_doc_get_root(doc) : NULL;

    if (user == NULL || !metadata_is_deleting(user) || !finalizer_remove(user, USER_FINALIZER))
        return;
    if (metadata_has_finalizers(user)) {
        object_write(t, PLURAL_USERS, doc);
        return;
    }
    user_forget(t, context, name, json_mut_str_at(user, "metadata.uid"));
    object_remove(t, PLURAL_USERS, name);
}
