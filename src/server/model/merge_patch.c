#include "server/model/merge_patch.h"

#include "base/map.h"
#include "server/model/sent.h"

#define PAIRWISE_MAX 16

/* A patch's keys, found in constant time where there are many. The last of equal ones. */
struct index {
    yyjson_val *object;
    struct map *map;
};

static struct index index_of(yyjson_val *object)
{
    struct index x = {object, NULL};
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *k;

    if (yyjson_obj_size(object) <= PAIRWISE_MAX)
        return x;
    x.map = map_new();
    while ((k = yyjson_obj_iter_next(&iter)))
        map_set(x.map, (struct str){yyjson_get_str(k), yyjson_get_len(k)}, yyjson_obj_iter_get_val(k));
    return x;
}

static yyjson_val *index_get(const struct index *x, yyjson_val *key)
{
    struct str name = {yyjson_get_str(key), yyjson_get_len(key)};
    yyjson_val *found = NULL, *k;

    if (x->map)
        return map_get(x->map, name);
    yyjson_obj_iter iter = yyjson_obj_iter_with(x->object);
    while ((k = yyjson_obj_iter_next(&iter)))
        if (yyjson_equals_strn(k, name.p, name.n))
            found = yyjson_obj_iter_get_val(k);
    return found;
}

static void add_member(yyjson_mut_doc *doc, yyjson_mut_val *out, yyjson_val *key, yyjson_mut_val *value)
{
    yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, key), value);
}

yyjson_mut_val *merge_patch(yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch)
{
    yyjson_val *k;

    if (!yyjson_is_obj(patch))
        return yyjson_val_mut_copy(doc, patch);
    if (!yyjson_is_obj(target))
        target = NULL;
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    struct index patches = index_of(patch), targets = index_of(target);

    yyjson_obj_iter iter = yyjson_obj_iter_with(target);
    while ((k = yyjson_obj_iter_next(&iter))) {
        yyjson_val *change = index_get(&patches, k), *value = yyjson_obj_iter_get_val(k);
        if (change == NULL)
            add_member(doc, out, k, yyjson_val_mut_copy(doc, value));
        else if (!yyjson_is_null(change))
            add_member(doc, out, k, merge_patch(doc, value, change));
    }
    iter = yyjson_obj_iter_with(patch);
    while ((k = yyjson_obj_iter_next(&iter))) {
        yyjson_val *change = yyjson_obj_iter_get_val(k);
        if (!yyjson_is_null(change) && index_get(&patches, k) == change && index_get(&targets, k) == NULL)
            add_member(doc, out, k, merge_patch(doc, NULL, change));
    }
    map_free(patches.map, NULL);
    map_free(targets.map, NULL);
    return out;
}

static yyjson_mut_val *apply_merge_patch(yyjson_mut_doc *doc, yyjson_val *old, yyjson_val *patch, struct error **err)
{
    return merge_patch(doc, old, patch);
}

const struct patch_type merge_patch_type = {
    .media_type = "application/merge-patch+json", .parse = sent_json_object, .apply = apply_merge_patch};
