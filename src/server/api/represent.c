#include "server/api/represent.h"

#include "base/clock.h"

int represent_begin(struct request *r, struct table *t, struct error **err)
{
    *t = (struct table){.kind = r->op->kind, .version = "v1", .now_us = clock_realtime_us()};
    if (r->op->representation != REPRESENT_TABLE)
        return 0;
    return table_include_parse(operation_parameter(r->op, "includeObject"), &t->include, err);
}

void represent_object(enum representation how, const struct table *t, struct buffer *b, yyjson_val *object,
                      struct str json, bool headers)
{
    if (how == REPRESENT_TABLE)
        table_object(t, b, object, json, headers);
    else if (how == REPRESENT_METADATA)
        partial_metadata_write(b, "v1", object);
    else
        buffer_add(b, json);
}
