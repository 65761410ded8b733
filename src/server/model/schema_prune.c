#include "server/model/schema.h"

#include "base/map.h"
#include "kinds/schema_node.h"
#include "server/model/meta_schema.h"
#include "server/model/place.h"

/* Objects with more keys than this are searched for duplicates by a map: pairwise would be quadratic in what a stranger
 * sends. */
#define PAIRWISE_MAX 16

struct findings {
    schema_report_fn *report;
    void *arg;
    size_t n;
};

static void found(struct findings *f, const struct place *p)
{
    _cleanup_buffer_ struct buffer path = BUFFER_MAX(PLACE_MAX);

    if (f->n++ >= SCHEMA_MAX_REPORTS || f->report == NULL)
        return;
    place_write(&path, p);
    f->report(f->arg, buffer_str(&path).p);
}

/* --- Unknown fields --- */

static void prune_value(struct findings *f, const struct schema_node *n, yyjson_mut_val *v, const struct place *p);

static const struct schema_node *child_of(const struct schema_node *n, const struct place *p, struct str key)
{
    static const struct schema_node text = {.type = SCHEMA_STRING};

    if (p == NULL && str_is(key, "metadata"))
        return meta_object_node();
    if (p == NULL && (str_is(key, "apiVersion") || str_is(key, "kind")))
        return &text;
    return schema_node_child(n, key);
}

static void prune_object(struct findings *f, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        struct str key = {yyjson_mut_get_str(k), yyjson_mut_get_len(k)};
        struct place at = place_key(p, key);
        const struct schema_node *child = child_of(n, p, key);
        if (child) {
            prune_value(f, child, yyjson_mut_obj_iter_get_val(k), &at);
        } else if (!n->preserve_unknown) {
            found(f, &at);
            yyjson_mut_obj_iter_remove(&iter);
        }
    }
}

static void prune_value(struct findings *f, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    if (yyjson_mut_is_obj(v) && (n->type == SCHEMA_OBJECT || n->preserve_unknown)) {
        prune_object(f, n, v, p);
    } else if (yyjson_mut_is_arr(v) && n->items) {
        yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(v);
        yyjson_mut_val *item;
        size_t i = 0;
        while ((item = yyjson_mut_arr_iter_next(&iter))) {
            struct place at = place_index(p, i++);
            prune_value(f, n->items, item, &at);
        }
    }
}

size_t schema_prune(const struct kind *k, yyjson_mut_val *object, schema_report_fn *report, void *arg)
{
    struct findings f = {.report = report, .arg = arg};

    prune_value(&f, k->root, object, NULL);
    return f.n;
}

/* --- Duplicate fields --- */

static void duplicates_in(struct findings *f, yyjson_val *v, const struct place *p, unsigned depth);

static bool seen_before(yyjson_val *object, yyjson_val *key, struct map *seen)
{
    struct str name = {yyjson_get_str(key), yyjson_get_len(key)};

    if (seen)
        return map_set(seen, name, key) != NULL;
    return yyjson_obj_getn(object, name.p, name.n) != yyjson_obj_iter_get_val(key);
}

static void duplicates_in_object(struct findings *f, yyjson_val *v, const struct place *p, unsigned depth)
{
    struct map *seen = yyjson_obj_size(v) > PAIRWISE_MAX ? map_new() : NULL;
    yyjson_obj_iter iter = yyjson_obj_iter_with(v);
    yyjson_val *k;

    while ((k = yyjson_obj_iter_next(&iter))) {
        struct place at = place_key(p, (struct str){yyjson_get_str(k), yyjson_get_len(k)});
        if (seen_before(v, k, seen))
            found(f, &at);
        duplicates_in(f, yyjson_obj_iter_get_val(k), &at, depth + 1);
    }
    map_free(seen, NULL);
}

static void duplicates_in(struct findings *f, yyjson_val *v, const struct place *p, unsigned depth)
{
    if (depth > JSON_MAX_DEPTH)
        return;
    if (yyjson_is_obj(v)) {
        duplicates_in_object(f, v, p, depth);
    } else if (yyjson_is_arr(v)) {
        yyjson_arr_iter iter = yyjson_arr_iter_with(v);
        yyjson_val *item;
        size_t i = 0;
        while ((item = yyjson_arr_iter_next(&iter))) {
            struct place at = place_index(p, i++);
            duplicates_in(f, item, &at, depth + 1);
        }
    }
}

size_t schema_find_duplicates(yyjson_val *v, schema_report_fn *report, void *arg)
{
    struct findings f = {.report = report, .arg = arg};

    duplicates_in(&f, v, NULL, 0);
    return f.n;
}

/* Whether a later member of the object has the key `k`, which `iter` has just passed. */
static bool follows_again(yyjson_mut_obj_iter iter, yyjson_mut_val *k)
{
    yyjson_mut_val *later;

    while ((later = yyjson_mut_obj_iter_next(&iter)))
        if (yyjson_mut_equals_strn(later, yyjson_mut_get_str(k), yyjson_mut_get_len(k)))
            return true;
    return false;
}

static struct map *last_of_each(yyjson_mut_val *v)
{
    struct map *last = map_new();
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter)))
        map_set(last, (struct str){yyjson_mut_get_str(k), yyjson_mut_get_len(k)}, k);
    return last;
}

static void drop_in(yyjson_mut_val *v, unsigned depth);

static void drop_in_object(yyjson_mut_val *v, unsigned depth)
{
    struct map *last = yyjson_mut_obj_size(v) > PAIRWISE_MAX ? last_of_each(v) : NULL;
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        struct str key = {yyjson_mut_get_str(k), yyjson_mut_get_len(k)};
        if (last ? map_get(last, key) != k : follows_again(iter, k))
            yyjson_mut_obj_iter_remove(&iter);
        else
            drop_in(yyjson_mut_obj_iter_get_val(k), depth + 1);
    }
    map_free(last, NULL);
}

static void drop_in(yyjson_mut_val *v, unsigned depth)
{
    if (depth > JSON_MAX_DEPTH)
        return;
    if (yyjson_mut_is_obj(v)) {
        drop_in_object(v, depth);
    } else if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(v);
        yyjson_mut_val *item;
        while ((item = yyjson_mut_arr_iter_next(&iter)))
            drop_in(item, depth + 1);
    }
}

void schema_drop_duplicates(yyjson_mut_val *v)
{
    drop_in(v, 0);
}
