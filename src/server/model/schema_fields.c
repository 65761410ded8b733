#include "server/model/schema.h"

#include "base/alloc.h"
#include "kinds/schema_node.h"
#include "server/model/same.h"
#include "server/model/schema_node_walk.h"

/* --- Defaults --- */

static void fill_defaults(const struct schema_node *n, yyjson_mut_doc *doc, yyjson_mut_val *v, bool is_root);

static bool is_type_meta(struct str key)
{
    return str_is(key, "apiVersion") || str_is(key, "kind") || str_is(key, "metadata");
}

static void drop_nulls(const struct schema_node *n, yyjson_mut_val *object)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        if (!yyjson_mut_is_null(yyjson_mut_obj_iter_get_val(k)))
            continue;
        const struct schema_node *child =
            schema_node_child(n, (struct str){yyjson_mut_get_str(k), yyjson_mut_get_len(k)});
        if (child && !child->nullable && child->type != SCHEMA_ANY)
            yyjson_mut_obj_iter_remove(&iter);
    }
}

static void fill_object(const struct schema_node *n, yyjson_mut_doc *doc, yyjson_mut_val *object, bool is_root)
{
    yyjson_mut_obj_iter iter;
    yyjson_mut_val *k;

    drop_nulls(n, object);
    for (size_t i = 0; i < n->properties_len; i++) {
        const struct schema_property *p = &n->properties[i];
        if (p->node->fallback && !yyjson_mut_obj_getn(object, p->name.p, p->name.n))
            yyjson_mut_obj_add(object, yyjson_mut_strn(doc, p->name.p, p->name.n),
                               yyjson_val_mut_copy(doc, p->node->fallback));
    }
    iter = yyjson_mut_obj_iter_with(object);
    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        struct str key = {yyjson_mut_get_str(k), yyjson_mut_get_len(k)};
        const struct schema_node *child = schema_node_child(n, key);
        if (child && !(is_root && is_type_meta(key)))
            fill_defaults(child, doc, yyjson_mut_obj_iter_get_val(k), false);
    }
}

static void fill_defaults(const struct schema_node *n, yyjson_mut_doc *doc, yyjson_mut_val *v, bool is_root)
{
    if (yyjson_mut_is_obj(v)) {
        fill_object(n, doc, v, is_root);
    } else if (yyjson_mut_is_arr(v) && n->items) {
        yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(v);
        yyjson_mut_val *item;
        while ((item = yyjson_mut_arr_iter_next(&iter)))
            fill_defaults(n->items, doc, item, false);
    }
}

void schema_default(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    fill_defaults(k->root, doc, object, true);
}

void schema_fill_node(const struct schema_node *n, yyjson_mut_doc *doc, yyjson_mut_val *v)
{
    fill_defaults(n, doc, v, false);
}

/* --- Marked fields --- */

/* The object that holds the last key of the path, which becomes *key. NULL where a step is missing or no object. */
static yyjson_mut_val *parent_of(yyjson_mut_val *v, const char *path, const char **key)
{
    const char *dot = strrchr(path, '.');
    struct str rest = {dot ? path : NULL, dot ? (size_t)(dot - path) : 0}, part;

    *key = dot ? dot + 1 : path;
    while (v && str_split(&rest, '.', &part))
        v = yyjson_mut_obj_getn(v, part.p, part.n);
    return yyjson_mut_is_obj(v) ? v : NULL;
}

/* Puts the old object's value back, unless what a client sent leaves no place for it: then the schema has something to
 * say. */
static void keep_old(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *path, yyjson_val *value)
{
    const char *key;
    const char *dot = strrchr(path, '.');
    yyjson_mut_val *parent = parent_of(object, path, &key);

    if (parent == NULL && dot) {
        _cleanup_free_ char *above = xstrndup(path, (size_t)(dot - path));
        const char *unused;
        yyjson_mut_val *grandparent = parent_of(object, above, &unused);
        yyjson_mut_val *present = grandparent ? yyjson_mut_obj_get(grandparent, unused) : NULL;
        if (grandparent && (present == NULL || yyjson_mut_is_null(present)))
            parent = json_mut_make_obj(doc, object, above);
    }
    if (parent)
        json_mut_set(doc, parent, key, yyjson_val_mut_copy(doc, value));
}

void schema_restore_output_only(const struct kind *k, yyjson_val *old, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    const char *key;

    for (const char **path = k->output_only; *path; path++) {
        yyjson_val *value = json_at(old, *path);
        yyjson_mut_val *parent = parent_of(object, *path, &key);
        if (value)
            keep_old(doc, object, *path, value);
        else if (parent)
            json_mut_remove(parent, key);
    }
}

static bool is_same(yyjson_mut_doc *doc, yyjson_val *old, yyjson_mut_val *now)
{
    if (yyjson_is_str(old) && yyjson_mut_is_str(now))
        return yyjson_equals_strn(old, yyjson_mut_get_str(now), yyjson_mut_get_len(now));
    return old && value_same(yyjson_val_mut_copy(doc, old), now);
}

static void add_immutable_cause(const char *path, yyjson_mut_val *now, struct error **err)
{
    _cleanup_buffer_ struct buffer shown = BUFFER_MAX(512);
    size_t n;

    if (!yyjson_mut_is_ctn(now)) {
        _cleanup_free_ char *text = json_mut_write(now, &n);
        buffer_add(&shown, (struct str){text, n});
    }
    error_add_cause(err, path, "FieldValueInvalid", "Invalid value: %s: field is immutable: delete and create",
                    shown.n ? buffer_str(&shown).p : "...");
}

int schema_check_immutable(const struct kind *k, yyjson_val *old, yyjson_mut_doc *doc, yyjson_mut_val *object,
                           struct error **err)
{
    int rc = 0;

    for (const char **path = k->immutable; *path; path++) {
        yyjson_val *before = json_at(old, *path);
        yyjson_mut_val *now = json_mut_at(object, *path);
        if (now == NULL || yyjson_mut_is_null(now)) {
            if (before)
                keep_old(doc, object, *path, before);
        } else if (!is_same(doc, before, now)) {
            add_immutable_cause(*path, now, err);
            rc = -1;
        }
    }
    return rc;
}
