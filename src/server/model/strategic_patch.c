#include "server/model/strategic_patch.h"

#include "server/model/merge_patch.h"
#include "server/model/sent.h"

static bool is_plain_merge(yyjson_val *v)
{
    yyjson_val *key, *value;
    size_t i, n;

    if (yyjson_is_arr(v))
        return false;
    yyjson_obj_foreach (v, i, n, key, value) {
        if (unsafe_yyjson_get_str(key)[0] == '$' || !is_plain_merge(value))
            return false;
    }
    return true;
}

static yyjson_doc *parse_strategic(struct str body, struct error **err)
{
    yyjson_doc *doc = sent_json_object(body, err);

    if (doc == NULL || is_plain_merge(yyjson_doc_get_root(doc)))
        return doc;
    yyjson_doc_free(doc);
    (void)error_set(err, REASON_BAD_REQUEST,
                    "lists and $directives of a strategic merge patch are not understood here: send a "
                    "merge patch (kubectl patch --type merge)");
    return NULL;
}

static yyjson_mut_val *apply_strategic(yyjson_mut_doc *doc, yyjson_val *old, yyjson_val *patch, struct error **err)
{
    return merge_patch(doc, old, patch);
}

const struct patch_type strategic_patch_type = {.media_type = "application/strategic-merge-patch+json",
                                                .core_only = true,
                                                .parse = parse_strategic,
                                                .apply = apply_strategic};
