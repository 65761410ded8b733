#include "server/api/write.h"

#include "server/api/admission.h"
#include "server/api/refuse.h"

void write_init(struct write *w, struct request *r, enum write_operation operation)
{
    *w = (struct write){.api = r->api, .r = r, .resource = r->resource, .name = r->name};
    w->a.operation = operation;
    w->a.kind = r->resource->kind;
    w->a.who = &r->op->who;
    w->a.arena = r->arena;
    w->a.context = r->api->options.context;
    admission_no_secrets(&w->a);
}

struct write *write_new(struct request *r, enum write_operation operation)
{
    struct write *w = arena_alloc(r->arena, sizeof(*w));

    write_init(w, r, operation);
    return w;
}

bool write_only_own(const struct write *w)
{
    return w->r && w->r->verdict == VERDICT_OWN;
}

int write_check_owner(const struct write *w, yyjson_mut_val *object, struct error **err)
{
    const struct kind *k = w->a.kind;

    if (!write_only_own(w) || (k->owner && streq(json_mut_str_at(object, k->owner), w->a.who->name)))
        return 0;
    return error_forbidden(err, w->r);
}
