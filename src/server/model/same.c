#include "server/model/same.h"

#include "base/map.h"

#define PAIRWISE_MAX 16

static bool same_array(yyjson_mut_val *a, yyjson_mut_val *b)
{
    yyjson_mut_arr_iter left = yyjson_mut_arr_iter_with(a), right = yyjson_mut_arr_iter_with(b);
    yyjson_mut_val *v;

    if (yyjson_mut_arr_size(a) != yyjson_mut_arr_size(b))
        return false;
    while ((v = yyjson_mut_arr_iter_next(&left)))
        if (!value_same(v, yyjson_mut_arr_iter_next(&right)))
            return false;
    return true;
}

static struct map *index_of(yyjson_mut_val *object)
{
    struct map *m = map_new();
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *k;

    while ((k = yyjson_mut_obj_iter_next(&iter)))
        map_set(m, (struct str){yyjson_mut_get_str(k), yyjson_mut_get_len(k)}, yyjson_mut_obj_iter_get_val(k));
    return m;
}

static bool same_object(yyjson_mut_val *a, yyjson_mut_val *b)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(a);
    yyjson_mut_val *k;
    bool same = true;

    if (yyjson_mut_obj_size(a) != yyjson_mut_obj_size(b))
        return false;
    struct map *index = yyjson_mut_obj_size(b) > PAIRWISE_MAX ? index_of(b) : NULL;
    while (same && (k = yyjson_mut_obj_iter_next(&iter))) {
        struct str key = {yyjson_mut_get_str(k), yyjson_mut_get_len(k)};
        yyjson_mut_val *other = index ? map_get(index, key) : yyjson_mut_obj_getn(b, key.p, key.n);
        same = other && value_same(yyjson_mut_obj_iter_get_val(k), other);
    }
    map_free(index, NULL);
    return same;
}

bool value_same(yyjson_mut_val *a, yyjson_mut_val *b)
{
    if (yyjson_mut_is_obj(a) && yyjson_mut_is_obj(b))
        return same_object(a, b);
    if (yyjson_mut_is_arr(a) && yyjson_mut_is_arr(b))
        return same_array(a, b);
    return !yyjson_mut_is_ctn(a) && !yyjson_mut_is_ctn(b) && yyjson_mut_equals(a, b);
}
