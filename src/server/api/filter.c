#include "server/api/filter.h"

int filter_read(struct request *r, struct filter *out, struct error **err)
{
    *out = (struct filter){.kind = r->resource->kind, .owner = r->verdict == VERDICT_OWN ? &r->who : NULL};
    if (selector_parse(r->arena, http_query(r->x, "labelSelector"), &out->labels, err) < 0)
        return -1;
    return field_selector_parse(r->arena, http_query(r->x, "fieldSelector"), &out->fields, err);
}

bool filter_is_open(const struct filter *f)
{
    return f->labels == NULL && f->fields == NULL && f->owner == NULL;
}

bool filter_is_visible(const struct filter *f, const struct object *o)
{
    return f->owner == NULL || owned_by(f->kind, o->json, f->owner);
}

bool filter_matches(const struct filter *f, const struct object *o)
{
    if (f->fields && !field_selector_matches(f->fields, o->name))
        return false;
    if (!filter_is_visible(f, o))
        return false;
    if (f->labels == NULL)
        return true;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    return selector_matches(f->labels, yyjson_doc_get_root(doc));
}
