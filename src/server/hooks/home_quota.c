#include "server/hooks/home_quota.h"

#include "base/quantity.h"
#include "server/hooks/device_gone.h"
#include "server/hooks/objects.h"

#define LEAST (UINT64_C(1) << 20)
#define MOST (UINT64_C(1) << 53)

int home_quota_check(struct admission *a, struct error **err)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;
    const char *text = json_mut_str_at(a->object, "spec.homeQuota");
    uint64_t bytes;

    /* What was allowed once does not stop a change of something else: the runner keeps to maxHomeQuota itself. */
    if (text == NULL || same_text(json_str_at(a->old, "spec.homeQuota"), text))
        return 0;
    if (quantity_parse(str_from(text), MOST, &bytes) < 0 || (bytes && bytes < LEAST))
        return error_add_cause(err, "spec.homeQuota", "FieldValueInvalid",
                               "an amount of bytes from \"1Mi\" to \"8Pi\", as \"20Gi\" is one, or \"0\" for no quota");
    if (c->max_home_quota && (bytes == 0 || bytes > c->max_home_quota))
        return error_add_cause(err, "spec.homeQuota", "FieldValueInvalid",
                               "more than the %llu bytes that one user may have here (maxHomeQuota)",
                               (unsigned long long)c->max_home_quota);
    return 0;
}

void home_quota_write(yyjson_mut_doc *doc, yyjson_mut_val *device, const char *quota)
{
    yyjson_mut_val *status = json_mut_make_obj(doc, device, "status");
    uint64_t bytes;

    if (quota && quantity_parse(str_from(quota), MOST, &bytes) == 0)
        json_mut_set_int(doc, status, "homeQuotaBytes", (int64_t)bytes);
    else
        json_mut_remove(status, "homeQuotaBytes");
}

void home_quota_changed(struct admission *a, struct store_txn *t)
{
    const char *before = json_str_at(a->old, "spec.homeQuota"), *now = json_mut_str_at(a->object, "spec.homeQuota");
    struct str device = txn_secret(t, DEVICE_OF_USER, str_from(json_mut_str_at(a->object, "metadata.name")));

    if (same_text(before, now) || device.p == NULL)
        return;
    _cleanup_json_mut_ yyjson_mut_doc *doc =
        object_read_mutable(t, PLURAL_DEVICES, arena_strndup(a->arena, device.p, device.n));
    if (doc == NULL)
        return;
    home_quota_write(doc, yyjson_mut_doc_get_root(doc), now);
    object_write(t, PLURAL_DEVICES, doc);
}
