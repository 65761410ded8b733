#include "server/api/filter.h"

#include "server/api/refuse.h"

int filter_read(struct request *r, struct filter *out, struct error **err)
{
    *out = (struct filter){.kind = r->op->kind, .owner = r->verdict == VERDICT_OWN ? &r->op->who : NULL};
    if (selector_parse(r->arena, operation_parameter(r->op, "labelSelector"), &out->labels, err) < 0)
        return -1;
    return field_selector_parse(r->arena, out->kind, operation_parameter(r->op, "fieldSelector"), &out->fields, err);
}

bool filter_is_open(const struct filter *f)
{
    return f->labels == NULL && f->fields == NULL && f->owner == NULL;
}

static bool is_visible(const struct filter *f, const struct object *o)
{
    return f->owner == NULL || owned_by(f->kind, o->json, f->owner);
}

bool filter_matches(const struct filter *f, const struct object *o)
{
    bool reads = field_selector_reads_object(f->fields);

    if (!reads && !field_selector_matches(f->fields, o->name, NULL))
        return false;
    if (!is_visible(f, o))
        return false;
    if (f->labels == NULL && !reads)
        return true;
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    yyjson_val *object = yyjson_doc_get_root(doc);
    return (!reads || field_selector_matches(f->fields, o->name, object)) &&
           (f->labels == NULL || selector_matches(f->labels, object));
}
