#include "server/model/schema.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "kinds/schema_node.h"
#include "server/model/place.h"
#include "server/model/schema_node_walk.h"

/* A message repeats no more of a value than this. */
#define SHOWN_MAX 256

struct check {
    struct error **err;
    size_t findings;
};

static void cause(struct check *c, const struct place *p, const char *reason, const struct buffer *message)
{
    _cleanup_buffer_ struct buffer path = BUFFER_MAX(PLACE_MAX);

    c->findings++;
    place_write(&path, p);
    error_add_cause(c->err, buffer_str(&path).p, reason, "%s", buffer_str(message).p);
}

static bool is_full(const struct check *c)
{
    return c->findings >= SCHEMA_MAX_REPORTS;
}

static void show_string(struct buffer *b, const char *s, size_t n)
{
    bool cut = n > SHOWN_MAX;

    if (cut)
        for (n = SHOWN_MAX; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
            n--;
    buffer_json_string(b, (struct str){s, n});
    if (cut)
        buffer_puts(b, "...");
}

static void show_value(struct buffer *b, const struct schema_node *n, yyjson_mut_val *v)
{
    size_t length;

    if (n->write_only) {
        buffer_puts(b, "(not shown)");
    } else if (yyjson_mut_is_str(v)) {
        show_string(b, yyjson_mut_get_str(v), yyjson_mut_get_len(v));
    } else if (yyjson_mut_is_ctn(v)) {
        buffer_puts(b, yyjson_mut_is_obj(v) ? "{...}" : "[...]");
    } else {
        _cleanup_free_ char *text = json_mut_write(v, &length);
        buffer_puts(b, text);
    }
}

/* «Invalid value: V: PATH in body REST» */
static void _printf_(5, 6) invalid(struct check *c, const struct schema_node *n, yyjson_mut_val *v,
                                   const struct place *p, const char *fmt, ...)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096), rest = BUFFER_MAX(2048);
    _cleanup_free_ char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int length = vasprintf(&text, fmt, args);
    va_end(args);
    if (length < 0)
        abort();
    buffer_puts(&b, "Invalid value: ");
    show_value(&b, n, v);
    buffer_puts(&b, ": ");
    place_write(&rest, p);
    buffer_add(&b, buffer_str(&rest));
    buffer_puts(&b, " in body ");
    buffer_puts(&b, text);
    cause(c, p, "FieldValueInvalid", &b);
}

static void fixed_cause(struct check *c, const struct place *p, const char *reason, const char *text)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096);

    buffer_puts(&b, text);
    cause(c, p, reason, &b);
}

static const char *value_type(yyjson_mut_val *v)
{
    switch (yyjson_mut_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_NUM:
        return yyjson_mut_is_int(v) ? "integer" : "number";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    default:
        return "object";
    }
}

static bool has_type(const struct schema_node *n, yyjson_mut_val *v)
{
    switch (n->type) {
    case SCHEMA_OBJECT:
        return yyjson_mut_is_obj(v);
    case SCHEMA_ARRAY:
        return yyjson_mut_is_arr(v);
    case SCHEMA_STRING:
        return yyjson_mut_is_str(v);
    case SCHEMA_INTEGER:
        return yyjson_mut_is_int(v);
    case SCHEMA_NUMBER:
        return yyjson_mut_is_num(v);
    case SCHEMA_BOOLEAN:
        return yyjson_mut_is_bool(v);
    case SCHEMA_INT_OR_STRING:
        return yyjson_mut_is_int(v) || yyjson_mut_is_str(v);
    case SCHEMA_ANY:
        break;
    }
    return true;
}

static void wrong_type(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    static const char *const names[] = {[SCHEMA_ANY] = "any",         [SCHEMA_OBJECT] = "object",
                                        [SCHEMA_ARRAY] = "array",     [SCHEMA_STRING] = "string",
                                        [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
                                        [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_INT_OR_STRING] = "integer,string"};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096), path = BUFFER_MAX(PLACE_MAX);
    const char *found = value_type(v);

    place_write(&path, p);
    buffer_printf(&b, "Invalid value: \"%s\": %s in body must be of type %s: \"%s\"", found, buffer_str(&path).p,
                  names[n->type], found);
    cause(c, p, "FieldValueTypeInvalid", &b);
}

/* A number that a program has set may be signed where a parsed one is not. */
static bool is_negative(yyjson_val *v)
{
    return yyjson_is_sint(v) && yyjson_get_sint(v) < 0;
}

static bool is_allowed(yyjson_val *list, yyjson_mut_val *v)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *a;

    while ((a = yyjson_arr_iter_next(&iter))) {
        if (yyjson_mut_is_str(v) && yyjson_equals_strn(a, yyjson_mut_get_str(v), yyjson_mut_get_len(v)))
            return true;
        if (yyjson_mut_is_int(v) && yyjson_is_int(a) && yyjson_get_uint(a) == yyjson_mut_get_uint(v) &&
            is_negative(a) == (yyjson_mut_is_sint(v) && yyjson_mut_get_sint(v) < 0))
            return true;
        if (yyjson_mut_is_real(v) && yyjson_is_real(a) && yyjson_get_real(a) == yyjson_mut_get_real(v))
            return true;
        if (yyjson_mut_is_bool(v) && yyjson_is_bool(a) && yyjson_get_bool(a) == yyjson_mut_get_bool(v))
            return true;
    }
    return false;
}

static void check_allowed(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(8192);
    yyjson_arr_iter iter = yyjson_arr_iter_with(n->allowed);
    yyjson_val *a;
    size_t length;
    const char *separator = "";

    if (is_allowed(n->allowed, v))
        return;
    buffer_puts(&b, "Unsupported value: ");
    show_value(&b, n, v);
    buffer_puts(&b, ": supported values: ");
    while ((a = yyjson_arr_iter_next(&iter))) {
        _cleanup_free_ char *text = json_write(a, &length);
        buffer_printf(&b, yyjson_is_str(a) ? "%s%s" : "%s\"%s\"", separator, text);
        separator = ", ";
    }
    cause(c, p, "FieldValueNotSupported", &b);
}

static uint64_t count_characters(const char *s, size_t n)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static bool matches(const struct schema_node *n, const char *s, size_t length)
{
    regmatch_t span = {.rm_so = 0, .rm_eo = (regoff_t)length};

    return length <= SCHEMA_PATTERN_MAX && regexec(n->pattern, s, 1, &span, REG_STARTEND) == 0;
}

static void check_string(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    const char *s = yyjson_mut_get_str(v);
    size_t length = yyjson_mut_get_len(v);
    int64_t us;

    if (n->has_max_length && count_characters(s, length) > n->max_length) {
        _cleanup_buffer_ struct buffer b = BUFFER_MAX(256);
        buffer_printf(&b, "Too long: may not be more than %llu characters", (unsigned long long)n->max_length);
        cause(c, p, "FieldValueTooLong", &b);
        return;
    }
    if (n->min_length && count_characters(s, length) < n->min_length)
        invalid(c, n, v, p, "should be at least %llu chars long", (unsigned long long)n->min_length);
    if (n->pattern && !matches(n, s, length))
        invalid(c, n, v, p, "should match '%s'", n->pattern_text);
    else if (n->plain && !text_is_plain((struct str){s, length}, n->lines ? "\n\t" : ""))
        invalid(c, n, v, p, "must not hold control, bidirectional or line separating characters%s",
                n->lines ? " other than line feeds and tabs" : "");
    if (n->format == SCHEMA_FORMAT_DATE_TIME && timestamp_parse((struct str){s, length}, &us) < 0)
        invalid(c, n, v, p, "must be of type date-time");
}

static bool fits(const struct schema_node *n, yyjson_mut_val *v)
{
    if (yyjson_mut_is_uint(v) && yyjson_mut_get_uint(v) > INT64_MAX)
        return false;
    int64_t i = yyjson_mut_get_sint(v);
    return n->format != SCHEMA_FORMAT_INT32 || (i >= INT32_MIN && i <= INT32_MAX);
}

static void check_number(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    double d = yyjson_mut_get_num(v);

    if (n->type == SCHEMA_INTEGER && !fits(n, v)) {
        invalid(c, n, v, p, "must be of type %s", n->format == SCHEMA_FORMAT_INT32 ? "int32" : "int64");
        return;
    }
    if (n->has_minimum && (n->exclusive_minimum ? d <= n->minimum : d < n->minimum))
        invalid(c, n, v, p, "should be greater than %s%.17g", n->exclusive_minimum ? "" : "or equal to ", n->minimum);
    if (n->has_maximum && (n->exclusive_maximum ? d >= n->maximum : d > n->maximum))
        invalid(c, n, v, p, "should be less than %s%.17g", n->exclusive_maximum ? "" : "or equal to ", n->maximum);
}

static void check_value(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p);

static bool check_count(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p,
                        size_t count, const char *what)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(256);

    if (count < n->min_length)
        invalid(c, n, v, p, "should have at least %llu %s", (unsigned long long)n->min_length, what);
    if (!n->has_max_length || count <= n->max_length)
        return true;
    buffer_printf(&b, "Too many: %zu: must have at most %llu items", count, (unsigned long long)n->max_length);
    cause(c, p, "FieldValueTooMany", &b);
    return false;
}

/* What is kept unknown is shown to people as well. */
static const struct schema_node unknown = {
    .preserve_unknown = true, .plain = true, .lines = true, .items = &unknown, .additional = &unknown};

static void check_array(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(v);
    yyjson_mut_val *item;
    size_t i = 0;

    if (!check_count(c, n, v, p, yyjson_mut_arr_size(v), "items"))
        return;
    while ((item = yyjson_mut_arr_iter_next(&iter)) && !is_full(c)) {
        struct place at = place_index(p, i++);
        check_value(c, n->items ? n->items : &unknown, item, &at);
    }
}

static bool is_type_meta(const struct place *p, struct str key)
{
    return p == NULL && (str_is(key, "apiVersion") || str_is(key, "kind") || str_is(key, "metadata"));
}

static void check_member(struct check *c, const struct schema_node *n, struct str key, yyjson_mut_val *v,
                         const struct place *p)
{
    const struct schema_node *child = schema_node_child(n, key);
    struct place at = place_key(p, key);

    if (n->plain && !text_is_plain(key, ""))
        fixed_cause(c, p, "FieldValueInvalid", "Invalid value: a key holds control characters");
    else if (child == NULL && n->plain)
        check_value(c, &unknown, v, &at);
    else if (child)
        check_value(c, child, v, &at);
}

static void check_object(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    yyjson_mut_val *k;

    if (!check_count(c, n, v, p, yyjson_mut_obj_size(v), "properties"))
        return;
    for (size_t i = 0; i < n->properties_len && !is_full(c); i++) {
        struct str name = n->properties[i].name;
        struct place at = place_key(p, name);
        if (n->properties[i].required && !is_type_meta(p, name) && !yyjson_mut_obj_getn(v, name.p, name.n))
            fixed_cause(c, &at, "FieldValueRequired", "Required value");
    }
    while ((k = yyjson_mut_obj_iter_next(&iter)) && !is_full(c)) {
        struct str key = {yyjson_mut_get_str(k), yyjson_mut_get_len(k)};
        if (!is_type_meta(p, key))
            check_member(c, n, key, yyjson_mut_obj_iter_get_val(k), p);
    }
}

static bool check_size(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(256);
    size_t size;

    if (n->max_bytes == 0)
        return true;
    free(json_mut_write(v, &size));
    if (size <= n->max_bytes)
        return true;
    buffer_printf(&b, "Too long: has %zu bytes of JSON; at most %llu are allowed", size,
                  (unsigned long long)n->max_bytes);
    cause(c, p, "FieldValueTooLong", &b);
    return false;
}

static void check_value(struct check *c, const struct schema_node *n, yyjson_mut_val *v, const struct place *p)
{
    if (is_full(c) || (n->nullable && yyjson_mut_is_null(v)))
        return;
    if (!has_type(n, v)) {
        wrong_type(c, n, v, p);
        return;
    }
    if (!check_size(c, n, v, p))
        return;
    if (n->allowed)
        check_allowed(c, n, v, p);
    if (yyjson_mut_is_str(v))
        check_string(c, n, v, p);
    else if (yyjson_mut_is_num(v))
        check_number(c, n, v, p);
    else if (yyjson_mut_is_arr(v) && (n->items || n->plain))
        check_array(c, n, v, p);
    else if (yyjson_mut_is_obj(v))
        check_object(c, n, v, p);
}

int schema_validate(const struct kind *k, yyjson_mut_val *object, struct error **err)
{
    struct check c = {.err = err};

    check_value(&c, k->root, object, NULL);
    return c.findings ? -1 : 0;
}

int schema_check_node(const struct schema_node *n, const char *path, yyjson_mut_val *v, struct error **err)
{
    struct check c = {.err = err};
    struct place at = place_key(NULL, str_from(path));

    check_value(&c, n, v, &at);
    return c.findings ? -1 : 0;
}

int schema_validate_at(const struct kind *k, const char *path, yyjson_mut_val *v, struct error **err)
{
    const struct schema_node *n = schema_node_at(k->root, path);

    return n ? schema_check_node(n, path, v, err) : 0;
}

void schema_invalid_prefix(struct error *err, const struct kind *k, const char *name)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX((size_t)1 << 20);

    if (err == NULL || err->causes_len == 0)
        return;
    buffer_printf(&b, "%s ", k->full_kind);
    buffer_json_string(&b, str_from(name ? name : ""));
    buffer_puts(&b, err->causes_len > 1 ? " is invalid: [" : " is invalid: ");
    for (size_t i = 0; i < err->causes_len; i++)
        buffer_printf(&b, "%s%s: %s", i ? ", " : "", err->causes[i].field, err->causes[i].message);
    if (err->causes_len > 1)
        buffer_puts(&b, "]");
    free(err->message);
    err->message = buffer_steal(&b);
}
