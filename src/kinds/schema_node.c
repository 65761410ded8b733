#include "kinds/schema_node.h"

#include "base/alloc.h"

/* Keywords that say nothing about which objects are right, or that are handled by name below. */
static const char *const known_keywords[] = {
    "type", "format", "nullable", "properties", "required", "additionalProperties", "items", "enum", "default",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "pattern", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
    "x-open-hydra-write-only", "x-open-hydra-output-only", "x-open-hydra-immutable", "x-open-hydra-lines",
    "x-open-hydra-max-bytes",
    /* for people and for other programs */
    "description", "title", "example", "externalDocs", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type"};

static const char *const type_names[] = {
    [SCHEMA_OBJECT] = "object",   [SCHEMA_ARRAY] = "array",   [SCHEMA_STRING] = "string",
    [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number", [SCHEMA_BOOLEAN] = "boolean"};

struct compiler {
    struct arena *arena;
    bool plain;
    struct error **err;
};

static const struct schema_node *compile(struct compiler *c, yyjson_val *schema, const char *where, unsigned depth);

static int check_keywords(struct compiler *c, yyjson_val *schema, const char *where)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(schema);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter))) {
        const char *name = yyjson_get_str(key);
        bool known = streq(name, "anyOf") && yyjson_is_true(yyjson_obj_get(schema, "x-kubernetes-int-or-string"));
        for (size_t i = 0; i < ARRAY_SIZE(known_keywords) && !known; i++)
            known = streq(name, known_keywords[i]);
        if (!known)
            return error_set(c->err, REASON_INVALID, "%s: the schema keyword %s is not supported", where, name);
    }
    return 0;
}

static int read_type(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n)
{
    yyjson_val *type = yyjson_obj_get(schema, "type");

    n->preserve_unknown = yyjson_is_true(yyjson_obj_get(schema, "x-kubernetes-preserve-unknown-fields"));
    if (yyjson_is_true(yyjson_obj_get(schema, "x-kubernetes-int-or-string"))) {
        n->type = SCHEMA_INT_OR_STRING;
        return type == NULL ? 0 : error_set(c->err, REASON_INVALID, "%s: int-or-string has no type", where);
    }
    if (type == NULL && n->preserve_unknown)
        return 0;
    for (size_t i = SCHEMA_OBJECT; i < ARRAY_SIZE(type_names); i++)
        if (yyjson_equals_str(type, type_names[i])) {
            n->type = (enum schema_type)i;
            return 0;
        }
    return error_set(c->err, REASON_INVALID, "%s: a structural schema needs a type", where);
}

static int read_format(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n)
{
    yyjson_val *format = yyjson_obj_get(schema, "format");

    if (format == NULL)
        return 0;
    if (n->type == SCHEMA_STRING && yyjson_equals_str(format, "date-time"))
        n->format = SCHEMA_FORMAT_DATE_TIME;
    else if (n->type == SCHEMA_INTEGER && yyjson_equals_str(format, "int32"))
        n->format = SCHEMA_FORMAT_INT32;
    else if (n->type == SCHEMA_INTEGER && yyjson_equals_str(format, "int64"))
        n->format = SCHEMA_FORMAT_INT64;
    else if (n->type != SCHEMA_NUMBER)
        return error_set(c->err, REASON_INVALID, "%s: unknown format", where);
    return 0;
}

static int read_count(struct compiler *c, yyjson_val *schema, const char *where, const char *key, uint64_t *out,
                      bool *has)
{
    yyjson_val *v = yyjson_obj_get(schema, key);

    if (v == NULL)
        return 0;
    if (!yyjson_is_uint(v))
        return error_set(c->err, REASON_INVALID, "%s: %s is a number from 0", where, key);
    *out = yyjson_get_uint(v);
    if (has)
        *has = true;
    return 0;
}

static int read_bound(struct compiler *c, yyjson_val *schema, const char *where, const char *key, double *out,
                      bool *has)
{
    yyjson_val *v = yyjson_obj_get(schema, key);

    if (v == NULL)
        return 0;
    if (!yyjson_is_num(v))
        return error_set(c->err, REASON_INVALID, "%s: %s is a number", where, key);
    *out = yyjson_get_num(v);
    *has = true;
    return 0;
}

static int read_limits(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n)
{
    static const struct {
        enum schema_type type;
        const char *least, *most;
    } names[] = {{SCHEMA_STRING, "minLength", "maxLength"},
                 {SCHEMA_ARRAY, "minItems", "maxItems"},
                 {SCHEMA_OBJECT, "minProperties", "maxProperties"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (n->type != names[i].type)
            continue;
        if (read_count(c, schema, where, names[i].least, &n->min_length, NULL) < 0 ||
            read_count(c, schema, where, names[i].most, &n->max_length, &n->has_max_length) < 0)
            return -1;
    }
    if (read_count(c, schema, where, "x-open-hydra-max-bytes", &n->max_bytes, NULL) < 0)
        return -1;
    if (read_bound(c, schema, where, "minimum", &n->minimum, &n->has_minimum) < 0 ||
        read_bound(c, schema, where, "maximum", &n->maximum, &n->has_maximum) < 0)
        return -1;
    n->exclusive_minimum = yyjson_is_true(yyjson_obj_get(schema, "exclusiveMinimum"));
    n->exclusive_maximum = yyjson_is_true(yyjson_obj_get(schema, "exclusiveMaximum"));
    return 0;
}

/* What POSIX would read in another way than the ECMA 262 dialect that a schema is written in. NULL: nothing. */
static const char *foreign_syntax(const char *pattern)
{
    bool in_class = false;

    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && in_class)
            return "a backslash inside brackets";
        if (*p == '\\' && (p[1] == '\0' || ascii_isalnum(p[1])))
            return "a backslash before a letter or digit";
        if (*p == '\\')
            p++;
        else if (in_class)
            in_class = *p != ']';
        else if (*p == '[') {
            in_class = true;
            p += p[1] == '^';
            if (p[1] == ']')
                return "a bracket expression that starts with ]";
        } else if (*p == '(' && p[1] == '?')
            return "(?";
        else if ((*p == '*' || *p == '+' || *p == '?' || *p == '}') && (p[1] == '?' || p[1] == '+'))
            return "a lazy or possessive repeat";
    }
    return NULL;
}

static void free_pattern(void *p)
{
    regfree(p);
}

static int read_pattern(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n)
{
    yyjson_val *pattern = yyjson_obj_get(schema, "pattern");
    char why[128];

    if (pattern == NULL)
        return 0;
    n->pattern_text = yyjson_get_str(pattern);
    if (n->pattern_text == NULL || n->type != SCHEMA_STRING)
        return error_set(c->err, REASON_INVALID, "%s: a pattern is a string, for strings", where);
    const char *foreign = foreign_syntax(n->pattern_text);
    if (foreign)
        return error_set(c->err, REASON_INVALID, "%s: pattern %s: %s is not supported", where, n->pattern_text,
                         foreign);
    n->pattern = arena_alloc(c->arena, sizeof(*n->pattern));
    int code = regcomp(n->pattern, n->pattern_text, REG_EXTENDED | REG_NOSUB);
    if (code == 0) {
        arena_defer(c->arena, free_pattern, n->pattern);
        return 0;
    }
    regerror(code, n->pattern, why, sizeof(why));
    return error_set(c->err, REASON_INVALID, "%s: pattern %s: %s", where, n->pattern_text, why);
}

static bool listed(yyjson_val *list, yyjson_val *name)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *v;

    while ((v = yyjson_arr_iter_next(&iter)))
        if (yyjson_equals_strn(v, yyjson_get_str(name), yyjson_get_len(name)))
            return true;
    return false;
}

/* A required field that is nowhere described could never be sent: pruning would remove it. */
static int check_required(struct compiler *c, yyjson_val *schema, const char *where)
{
    yyjson_val *required = yyjson_obj_get(schema, "required"), *v;
    yyjson_arr_iter iter = yyjson_arr_iter_with(required);

    if (required && !yyjson_is_arr(required))
        return error_set(c->err, REASON_INVALID, "%s: required is a list", where);
    while ((v = yyjson_arr_iter_next(&iter)))
        if (!yyjson_is_str(v) || !yyjson_obj_get(yyjson_obj_get(schema, "properties"), yyjson_get_str(v)))
            return error_set(c->err, REASON_INVALID, "%s: a required field is not among the properties", where);
    return 0;
}

static int read_properties(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n,
                           unsigned depth)
{
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *key;

    if (check_required(c, schema, where) < 0)
        return -1;
    if (properties == NULL)
        return 0;
    if (n->type != SCHEMA_OBJECT && !n->preserve_unknown)
        return error_set(c->err, REASON_INVALID, "%s: only objects have properties", where);
    struct schema_property *out = arena_alloc(c->arena, sizeof(*out) * (yyjson_obj_size(properties) + 1));
    yyjson_obj_iter iter = yyjson_obj_iter_with(properties);
    n->properties = out;
    while ((key = yyjson_obj_iter_next(&iter))) {
        const char *name = unsafe_yyjson_get_str(key); /* a key is a string */
        _cleanup_free_ char *path = xasprintf("%s.%s", where, name);
        out->name = str_from(name);
        out->required = listed(yyjson_obj_get(schema, "required"), key);
        out->node = compile(c, yyjson_obj_iter_get_val(key), path, depth + 1);
        if (out->node == NULL)
            return -1;
        out++;
        n->properties_len++;
    }
    return 0;
}

static int read_children(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n,
                         unsigned depth)
{
    static const struct schema_node anything[] = {{.preserve_unknown = true},
                                                  {.preserve_unknown = true, .plain = true, .lines = true}};
    yyjson_val *additional = yyjson_obj_get(schema, "additionalProperties"), *items = yyjson_obj_get(schema, "items");

    if (yyjson_is_true(additional))
        n->additional = &anything[c->plain];
    else if (yyjson_is_obj(additional)) {
        _cleanup_free_ char *path = xasprintf("%s[*]", where);
        n->additional = compile(c, additional, path, depth + 1);
        if (n->additional == NULL)
            return -1;
    }
    if ((n->type == SCHEMA_ARRAY) != (items != NULL))
        return error_set(c->err, REASON_INVALID, "%s: arrays, and they alone, have items", where);
    if (items) {
        _cleanup_free_ char *path = xasprintf("%s[]", where);
        n->items = compile(c, items, path, depth + 1);
        if (n->items == NULL)
            return -1;
    }
    return 0;
}

static int read_values(struct compiler *c, yyjson_val *schema, const char *where, struct schema_node *n)
{
    n->nullable = yyjson_is_true(yyjson_obj_get(schema, "nullable"));
    n->write_only = yyjson_is_true(yyjson_obj_get(schema, "x-open-hydra-write-only"));
    n->output_only = yyjson_is_true(yyjson_obj_get(schema, "x-open-hydra-output-only"));
    n->immutable = yyjson_is_true(yyjson_obj_get(schema, "x-open-hydra-immutable"));
    n->lines = n->type == SCHEMA_ANY || yyjson_is_true(yyjson_obj_get(schema, "x-open-hydra-lines"));
    n->plain = c->plain && !n->write_only && !n->output_only;
    n->allowed = yyjson_obj_get(schema, "enum");
    n->fallback = yyjson_obj_get(schema, "default");
    if (n->allowed && !yyjson_arr_size(n->allowed))
        return error_set(c->err, REASON_INVALID, "%s: enum is a list with something in it", where);
    if (n->write_only && (n->type != SCHEMA_STRING || n->fallback))
        return error_set(c->err, REASON_INVALID, "%s: a write-only field is a string without a default", where);
    return 0;
}

static const struct schema_node *compile(struct compiler *c, yyjson_val *schema, const char *where, unsigned depth)
{
    struct schema_node *n = arena_alloc(c->arena, sizeof(*n));

    if (!yyjson_is_obj(schema) || depth > JSON_MAX_DEPTH) {
        error_set(c->err, REASON_INVALID, "%s: the schema is no object, or nested too deep", where);
        return NULL;
    }
    if (check_keywords(c, schema, where) < 0 || read_type(c, schema, where, n) < 0 ||
        read_format(c, schema, where, n) < 0 || read_limits(c, schema, where, n) < 0 ||
        read_pattern(c, schema, where, n) < 0 || read_values(c, schema, where, n) < 0 ||
        read_properties(c, schema, where, n, depth) < 0 || read_children(c, schema, where, n, depth) < 0)
        return NULL;
    return n;
}

const struct schema_node *schema_node_compile(struct arena *a, yyjson_val *schema, const char *where, bool plain,
                                              struct error **err)
{
    struct compiler c = {a, plain, err};
    return compile(&c, schema, where, 0);
}

const struct schema_node *schema_node_child(const struct schema_node *n, struct str key)
{
    for (size_t i = 0; i < n->properties_len; i++)
        if (str_equal(n->properties[i].name, key))
            return n->properties[i].node;
    return n->additional;
}

const struct schema_node *schema_node_at(const struct schema_node *n, const char *path)
{
    struct str rest = str_from(path), part;

    while (n && str_split(&rest, '.', &part))
        n = schema_node_child(n, part);
    return n;
}
