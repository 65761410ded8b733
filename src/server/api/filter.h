#pragma once

#include "server/api/request.h"
#include "server/model/selector.h"

/* Which objects a list or a watch shows: selectors, and the owner where only own ones may be seen. */
struct filter {
    const struct selector *labels;       /* NULL: all */
    const struct field_selector *fields; /* NULL: all */
    const struct kind *kind;
    const struct identity *owner; /* NULL: everybody's */
};
int filter_read(struct request *r, struct filter *out, struct error **err) _must_check_;
bool filter_is_open(const struct filter *f); /* everything passes */
bool filter_matches(const struct filter *f, const struct object *o);
