#include "server/api/size.h"

#include <stdlib.h>

static size_t size_of(yyjson_mut_val *v)
{
    size_t n = 0;

    if (v)
        free(json_mut_write(v, &n));
    return n;
}

static size_t old_size(const struct admission *a)
{
    yyjson_val *status = yyjson_obj_get(a->old, "status");
    size_t all = 0, without = 0;

    if (a->old)
        free(json_write(a->old, &all));
    if (status)
        free(json_write(status, &without));
    return a->operation == OPERATION_UPDATE_STATUS ? without : all - without;
}

struct largest {
    const char *parent, *name;
    size_t n;
};

static void look_for_largest(struct largest *l, yyjson_mut_val *object, const char *parent)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(yyjson_mut_obj_get(object, parent));
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter))) {
        size_t n = size_of(yyjson_mut_obj_iter_get_val(k));
        if (n > l->n)
            *l = (struct largest){parent, yyjson_mut_get_str(k), n};
    }
}

static int too_large(const struct admission *a, size_t n, size_t max, struct error **err)
{
    bool is_status = a->operation == OPERATION_UPDATE_STATUS;
    struct largest l = {"", "", 0};

    if (is_status) {
        look_for_largest(&l, a->object, "status");
    } else {
        look_for_largest(&l, a->object, "metadata");
        look_for_largest(&l, a->object, "spec");
    }
    return error_set(err, REASON_REQUEST_TOO_LARGE,
                     "the %s would have %zu bytes (%s.%.63s has %zu); at most %zu are allowed%s",
                     is_status ? "status" : "object without its status", n, l.parent, l.name, l.n, max,
                     max < a->kind->max_bytes ? " without an administrator" : "");
}

int size_check(const struct admission *a, size_t n, size_t max, struct error **err)
{

    /* A deletion adds its time, and must not fail. */
    if (n <= max || a->operation == OPERATION_DELETE)
        return 0;
    size_t status = size_of(yyjson_mut_obj_get(a->object, "status"));
    n = a->operation == OPERATION_UPDATE_STATUS ? status : n - status;
    return n <= max || n <= old_size(a) ? 0 : too_large(a, n, max, err);
}
