#include "kinds/column_path.h"

/* One step of a path: a key, an index, or the first element whose key has that value. */
struct step {
    enum { STEP_KEY, STEP_INDEX, STEP_FILTER } type;
    char key[256];
    size_t n;
    size_t index;
    struct str filter_key, filter_value;
};

static bool read_key(const char **at, struct step *s)
{
    const char *p = *at + 1;

    s->type = STEP_KEY;
    for (s->n = 0; *p && *p != '.' && *p != '['; p++) {
        if (*p == '\\' && p[1])
            p++;
        if (s->n == sizeof(s->key))
            return false;
        s->key[s->n++] = *p;
    }
    *at = p;
    return s->n > 0;
}

static bool read_index(const char **at, struct step *s)
{
    const char *end = strchr(*at, ']');
    unsigned long long index;

    if (end == NULL || str_to_u64((struct str){*at + 1, (size_t)(end - *at - 1)}, 65535, &index) < 0)
        return false;
    s->type = STEP_INDEX;
    s->index = (size_t)index;
    *at = end + 1;
    return true;
}

/* [?(@.key=="value")] */
static bool read_filter(const char **at, struct step *s)
{
    const char *key = *at + strlen("[?(@."), *equals = strstr(key, "==");
    char quote = equals ? equals[2] : '\0';

    if (quote != '"' && quote != '\'')
        return false;
    const char *value = equals + 3, *end = strchr(value, quote);
    if (equals == key || end == NULL || !starts_with(end + 1, ")]"))
        return false;
    s->type = STEP_FILTER;
    s->filter_key = (struct str){key, (size_t)(equals - key)};
    s->filter_value = (struct str){value, (size_t)(end - value)};
    *at = end + 3;
    return true;
}

static bool next_step(const char **at, struct step *s)
{
    if (**at == '.')
        return read_key(at, s);
    return starts_with(*at, "[?(@.") ? read_filter(at, s) : **at == '[' && read_index(at, s);
}

bool column_path_valid(const char *path)
{
    struct step s;

    if (path == NULL || *path != '.')
        return false;
    while (*path)
        if (!next_step(&path, &s))
            return false;
    return true;
}

static yyjson_val *find_element(yyjson_val *list, const struct step *s)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *v;

    while ((v = yyjson_arr_iter_next(&iter)))
        if (yyjson_equals_strn(yyjson_obj_getn(v, s->filter_key.p, s->filter_key.n), s->filter_value.p,
                               s->filter_value.n))
            return v;
    return NULL;
}

yyjson_val *column_path_get(yyjson_val *object, const char *path)
{
    struct step s;

    while (object && *path) {
        if (!next_step(&path, &s))
            return NULL;
        if (s.type == STEP_KEY)
            object = yyjson_obj_getn(object, s.key, s.n);
        else if (s.type == STEP_INDEX)
            object = yyjson_arr_get(object, s.index);
        else
            object = find_element(object, &s);
    }
    return object;
}
