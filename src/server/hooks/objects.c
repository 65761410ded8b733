#include "server/hooks/objects.h"

#include "base/alloc.h"
#include "server/model/metadata.h"

yyjson_doc *object_read(struct store_txn *t, const char *collection, const char *name)
{
    struct object *o = txn_get(t, collection, str_from(name));
    return o ? json_parse(o->json, NULL) : NULL;
}

yyjson_mut_doc *object_read_mutable(struct store_txn *t, const char *collection, const char *name)
{
    _cleanup_json_ yyjson_doc *doc = object_read(t, collection, name);
    return doc ? yyjson_doc_mut_copy(doc, NULL) : NULL;
}

static char *stamped(struct store_txn *t, yyjson_mut_doc *doc, size_t *n)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    metadata_set_revision(doc, root, txn_next_revision(t));
    return json_mut_write(root, n);
}

void object_write(struct store_txn *t, const char *collection, yyjson_mut_doc *doc)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    size_t n;
    _cleanup_free_ char *text = stamped(t, doc, &n);

    txn_put(t, collection, json_mut_str_at(root, "metadata.name"), json_mut_str_at(root, "metadata.uid"),
            (struct str){text, n});
}

void object_remove(struct store_txn *t, const char *collection, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, collection, name);
    size_t n;

    if (doc == NULL)
        return;
    _cleanup_free_ char *text = stamped(t, doc, &n);
    txn_delete(t, collection, name, (struct str){text, n});
}

void finalizer_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *metadata = json_mut_make_obj(doc, object, "metadata");
    yyjson_mut_val *list = yyjson_mut_obj_get(metadata, "finalizers"), *item;
    size_t i, n;

    if (!yyjson_mut_is_arr(list)) {
        list = yyjson_mut_arr(doc);
        json_mut_set(doc, metadata, "finalizers", list);
    }
    yyjson_mut_arr_foreach (list, i, n, item) {
        if (yyjson_mut_equals_str(item, name))
            return;
    }
    yyjson_mut_arr_add_strcpy(doc, list, name);
}

bool finalizer_remove(yyjson_mut_val *object, const char *name)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(json_mut_at(object, "metadata.finalizers"));
    yyjson_mut_val *item;
    bool found = false;

    while ((item = yyjson_mut_arr_iter_next(&iter)))
        if (yyjson_mut_equals_str(item, name)) {
            yyjson_mut_arr_iter_remove(&iter);
            found = true;
        }
    return found;
}
