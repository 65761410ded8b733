#include "server/hooks/objects.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "server/api/metadata.h"

yyjson_doc *object_read(struct store_txn *t, const char *collection, const char *name)
{
    struct object *o = txn_get(t, collection, str_from(name));
    return o ? json_parse(o->json, NULL) : NULL;
}

static yyjson_mut_doc *read_mutable(struct store_txn *t, const char *collection, const char *name)
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

void object_ask_deletion(struct store_txn *t, const char *collection, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = read_mutable(t, collection, name);
    yyjson_mut_val *root = doc ? yyjson_mut_doc_get_root(doc) : NULL;

    if (root == NULL || metadata_is_deleting(root))
        return;
    metadata_stamp_deletion(doc, root, clock_realtime_us());
    object_write(t, collection, doc);
}

void object_remove(struct store_txn *t, const char *collection, const char *name)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = read_mutable(t, collection, name);
    size_t n;

    if (doc == NULL)
        return;
    _cleanup_free_ char *text = stamped(t, doc, &n);
    txn_delete(t, collection, name, (struct str){text, n});
}
