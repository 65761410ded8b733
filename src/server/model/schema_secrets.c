#include "server/model/schema.h"

#include "base/alloc.h"
#include "server/model/metadata.h"

/* Removes everything at the path, whichever of several equal keys leads there; *last becomes the last value found.
 * Returns their number. */
static size_t take_path(yyjson_mut_val *v, struct str path, yyjson_mut_val **last)
{
    struct str part = {"", 0};
    size_t taken = 0;
    yyjson_mut_val *k;

    if (!yyjson_mut_is_obj(v) || !str_split(&path, '.', &part))
        return 0;
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        if (!yyjson_mut_equals_strn(k, part.p, part.n))
            continue;
        if (path.n) {
            taken += take_path(yyjson_mut_obj_iter_get_val(k), path, last);
            continue;
        }
        *last = yyjson_mut_obj_iter_get_val(k);
        yyjson_mut_obj_iter_remove(&iter);
        taken++;
    }
    return taken;
}

static int read_secret(const struct kind *k, const char *path, yyjson_mut_val *v, const char **out, struct arena *arena,
                       struct error **err)
{
    size_t n = yyjson_mut_is_str(v) ? yyjson_mut_get_len(v) : 0;

    *out = NULL;
    if (v == NULL || yyjson_mut_is_null(v) || (yyjson_mut_is_str(v) && n == 0))
        return 0;
    if (schema_validate_at(k, path, v, err) < 0)
        return -1;
    if (memchr(yyjson_mut_get_str(v), '\0', n))
        return error_add_cause(err, path, "FieldValueInvalid",
                               "Invalid value: (not shown): must not hold a NUL character");
    *out = arena_strndup(arena, yyjson_mut_get_str(v), n);
    return 0;
}

/* kubectl's memory of what it applied, without what must not be kept. NULL: drop it; *changed says whether it is
 * another text now. */
static char *clean_last_applied(const struct kind *k, struct str text, bool *changed)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(text, NULL);
    yyjson_mut_val *unused = NULL;
    size_t n, removed = 0;

    *changed = true;
    if (doc == NULL || !yyjson_is_obj(yyjson_doc_get_root(doc)))
        return NULL;
    _cleanup_json_mut_ yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(copy);
    if (schema_find_duplicates(yyjson_doc_get_root(doc), NULL, NULL)) {
        schema_drop_duplicates(root);
        removed++;
    }
    removed += schema_prune(k, root, NULL, NULL);
    for (const char **path = k->write_only; *path; path++)
        removed += take_path(root, str_from(*path), &unused);
    yyjson_mut_val *annotations = json_mut_at(root, "metadata.annotations");
    if (yyjson_mut_is_obj(annotations) && yyjson_mut_obj_remove_key(annotations, LAST_APPLIED_ANNOTATION))
        removed++; /* kubectl never puts it into itself; a matryoshka would hide what is inside */
    *changed = removed > 0;
    return json_mut_write(root, &n);
}

static void clean_annotation(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *annotations)
{
    yyjson_mut_val *text = yyjson_mut_obj_get(annotations, LAST_APPLIED_ANNOTATION);
    bool changed;

    if (text == NULL || yyjson_mut_is_null(text)) /* null: a patch that removes it */
        return;
    size_t n = yyjson_mut_is_str(text) ? yyjson_mut_get_len(text) : 0;
    _cleanup_free_ char *clean = n ? clean_last_applied(k, (struct str){yyjson_mut_get_str(text), n}, &changed) : NULL;
    if (clean == NULL)
        json_mut_remove(annotations, LAST_APPLIED_ANNOTATION);
    else if (changed)
        json_mut_set_str(doc, annotations, LAST_APPLIED_ANNOTATION, clean);
}

int schema_take_write_only(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object, const char **out,
                           struct arena *arena, struct error **err)
{
    yyjson_mut_val *annotations;
    int rc = 0;

    if (*k->write_only == NULL)
        return 0;
    for (size_t i = 0; k->write_only[i]; i++) {
        yyjson_mut_val *value = NULL;
        take_path(object, str_from(k->write_only[i]), &value);
        if (read_secret(k, k->write_only[i], value, &out[i], arena, err) < 0)
            rc = -1;
    }
    /* Of equal keys only one would be looked at below. */
    schema_drop_duplicates(object);
    annotations = json_mut_at(object, "metadata.annotations");
    if (yyjson_mut_is_obj(annotations))
        clean_annotation(k, doc, annotations);
    return rc;
}
