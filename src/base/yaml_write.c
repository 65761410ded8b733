#include "base/yaml_write.h"

#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

/* Words that YAML 1.1 takes for something else. */
static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};

static bool is_plain(const char *text)
{
    if (!((*text >= 'A' && *text <= 'Z') || ascii_islower(*text)))
        return false;
    for (const char *c = text; *c; c++)
        if (!ascii_isalnum(*c) && !strchr("._/-", *c))
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

static bool is_nested(yyjson_mut_val *v)
{
    return yyjson_mut_is_obj(v) || yyjson_mut_is_arr(v);
}

static bool holds_nested(yyjson_mut_val *list)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *one;

    while ((one = yyjson_mut_arr_iter_next(&iter)))
        if (is_nested(one))
            return true;
    return false;
}

/* Something else than a line of its own for each member. */
static bool is_one_line(yyjson_mut_val *v)
{
    if (yyjson_mut_is_obj(v))
        return yyjson_mut_obj_size(v) == 0;
    return !yyjson_mut_is_arr(v) || !holds_nested(v);
}

static void write_line(struct buffer *out, yyjson_mut_val *v)
{
    const char *text = yyjson_mut_get_str(v);
    size_t n;

    if (text && is_plain(text)) {
        buffer_puts(out, text);
        return;
    }
    _cleanup_free_ char *json = json_mut_write(v, &n); /* is YAML, on one line */
    buffer_append(out, json, n);
}

static void write_block(struct buffer *out, yyjson_mut_val *v, int indent, bool begun);

static void write_member(struct buffer *out, yyjson_mut_val *v, int indent)
{
    if (is_one_line(v)) {
        buffer_puts(out, " ");
        write_line(out, v);
        buffer_puts(out, "\n");
    } else {
        buffer_puts(out, "\n");
        write_block(out, v, yyjson_mut_is_arr(v) ? indent : indent + 2, false);
    }
}

static void write_object(struct buffer *out, yyjson_mut_val *object, int indent, bool begun)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter))) {
        buffer_printf(out, "%*s%s:", begun ? 0 : indent, "", yyjson_mut_get_str(key));
        write_member(out, yyjson_mut_obj_iter_get_val(key), indent);
        begun = false;
    }
}

static void write_list(struct buffer *out, yyjson_mut_val *list, int indent)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *one;

    while ((one = yyjson_mut_arr_iter_next(&iter))) {
        buffer_printf(out, "%*s- ", indent, "");
        write_block(out, one, indent + 2, true);
    }
}

/* `begun`: the first line's indentation is there. */
static void write_block(struct buffer *out, yyjson_mut_val *v, int indent, bool begun)
{
    if (is_one_line(v)) {
        write_line(out, v);
        buffer_puts(out, "\n");
    } else if (yyjson_mut_is_obj(v)) {
        write_object(out, v, indent, begun);
    } else {
        if (begun) {
            buffer_puts(out, "\n");
        }
        write_list(out, v, indent);
    }
}

void yaml_write(struct buffer *out, yyjson_mut_val *value)
{
    write_block(out, value, 0, false);
}
