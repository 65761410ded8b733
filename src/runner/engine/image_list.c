#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "runner/engine/calls.h"
#include "runner/engine/image.h"

/* --- What is used --- */

/* The ids of the images of all containers. */
static int used_ids(struct engine *e, struct map *out, struct error **err)
{
    struct request q = {"GET", API "/containers/json?all=true", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;
    size_t i, max;
    yyjson_val *v;

    if (engine_request(e, &q, &doc, err) < 0)
        return -1;
    yyjson_arr_foreach (yyjson_doc_get_root(doc), i, max, v) {
        _cleanup_free_ char *id = engine_image_id(json_str_at(v, "ImageID"));
        if (id)
            map_set(out, str_from(id), e);
    }
    return 0;
}

/* --- What there is --- */

struct listing {
    struct runtime_named_image *list;
    size_t n;
};

static void add_name(struct listing *l, const char *name, const char *id, yyjson_val *image, const struct map *used)
{
    l->list = xreallocarray(l->list, l->n + 1, sizeof(*l->list));
    struct runtime_named_image *one = &l->list[l->n++];

    *one = (struct runtime_named_image){.name = xstrdup_or_null(name), .used = map_get(used, str_from(id)) != NULL};
    one->image.bytes = yyjson_get_uint(yyjson_obj_get(image, "Size"));
    snprintf(one->image.id, sizeof(one->image.id), "%s", id);
}

static void add_image(struct listing *l, yyjson_val *image, const struct map *used)
{
    _cleanup_free_ char *id = engine_image_id(json_str_at(image, "Id"));
    yyjson_val *names = yyjson_obj_get(image, "RepoTags"), *v;
    size_t i, max, before = l->n;

    if (id == NULL)
        return;
    yyjson_arr_foreach (names, i, max, v) {
        if (yyjson_is_str(v) && !streq(yyjson_get_str(v), "<none>:<none>"))
            add_name(l, yyjson_get_str(v), id, image, used);
    }
    if (l->n == before)
        add_name(l, NULL, id, image, used);
}

int engine_image_list(struct runtime *r, struct runtime_named_image **out, size_t *n, struct error **err)
{
    struct request q = {"GET", API "/images/json", NULL, SLOW_MS, {200}};
    _cleanup_json_ yyjson_doc *doc = NULL;
    struct map *used = map_new();
    struct listing l = {0};
    size_t i, max;
    yyjson_val *v;

    int rc = used_ids(engine_of(r), used, err);
    if (rc == 0)
        rc = engine_request(engine_of(r), &q, &doc, err);
    if (rc == 0)
        yyjson_arr_foreach (yyjson_doc_get_root(doc), i, max, v)
            add_image(&l, v, used);
    map_free(used, NULL);
    *out = l.list;
    *n = l.n;
    return rc;
}

int engine_image_remove(struct runtime *r, const char *image, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct request q = {"DELETE", arena_printf(a, API "/images/%s", url_quote(a, image)), NULL, SLOW_MS, {200}};

    return engine_request(engine_of(r), &q, NULL, err);
}
