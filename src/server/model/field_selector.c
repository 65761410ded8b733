#include <stdio.h>

#include "server/model/selector.h"

#define NAME_PATH "metadata.name"
/* What a number becomes. */
#define VALUE_TEXT 32

struct term {
    struct term *next;
    bool equal;
    const char *path; /* NULL: the name */
    const char *value;
};
struct field_selector {
    struct term *first;
    bool reads_object;
};

static bool is_selectable(const struct kind *k, struct str path, const char **out)
{
    *out = NULL;
    if (str_is(path, NAME_PATH))
        return true;
    for (const char **p = k->selectable; *p; p++)
        if (str_is(path, *p)) {
            *out = *p;
            return true;
        }
    return false;
}

static int read_term(struct arena *a, const struct kind *k, struct str text, struct term *t, struct error **err)
{
    const char *equals = memchr(text.p, '=', text.n);
    struct str key = text, value = {"", 0};

    if (equals == NULL)
        return error_set(err, REASON_BAD_REQUEST, "invalid field selector: '%.*s'; can't understand '%.*s'",
                         (int)(text.n > 100 ? 100 : text.n), text.p, (int)(text.n > 100 ? 100 : text.n), text.p);
    key.n = (size_t)(equals - text.p);
    value = (struct str){equals + 1, text.n - key.n - 1};
    t->equal = key.n == 0 || key.p[key.n - 1] != '!';
    if (!t->equal)
        key.n--;
    else if (value.n && *value.p == '=')
        value = (struct str){value.p + 1, value.n - 1};
    if (!is_selectable(k, key, &t->path))
        return error_set(err, REASON_BAD_REQUEST, "field label not supported: %.*s", (int)(key.n > 100 ? 100 : key.n),
                         key.p);
    t->value = arena_strndup(a, value.p, value.n);
    return 0;
}

int field_selector_parse(struct arena *a, const struct kind *k, const char *text, const struct field_selector **out,
                         struct error **err)
{
    struct field_selector *s = arena_alloc(a, sizeof(*s));
    struct str rest = str_from(text), part;

    *out = NULL;
    if (rest.n > SELECTOR_MAX)
        return error_set(err, REASON_BAD_REQUEST, "the selector is longer than %d bytes", SELECTOR_MAX);
    while (str_split(&rest, ',', &part)) {
        if (part.n == 0)
            continue;
        struct term *t = arena_alloc(a, sizeof(*t));
        if (read_term(a, k, part, t, err) < 0)
            return -1;
        t->next = s->first;
        s->first = t;
        s->reads_object |= t->path != NULL;
    }
    if (s->first)
        *out = s;
    return 0;
}

/* What is not there compares as the empty text, as in Kubernetes. */
static const char *text_at(yyjson_val *object, const char *path, char number[static VALUE_TEXT])
{
    yyjson_val *v = json_at(object, path);

    if (yyjson_is_bool(v))
        return yyjson_get_bool(v) ? "true" : "false";
    if (yyjson_is_uint(v))
        snprintf(number, VALUE_TEXT, "%llu", (unsigned long long)yyjson_get_uint(v));
    else if (yyjson_is_sint(v))
        snprintf(number, VALUE_TEXT, "%lld", (long long)yyjson_get_sint(v));
    else
        return yyjson_is_str(v) ? yyjson_get_str(v) : "";
    return number;
}

bool field_selector_matches(const struct field_selector *s, const char *name, yyjson_val *object)
{
    char number[VALUE_TEXT];

    for (const struct term *t = s ? s->first : NULL; t; t = t->next)
        if (streq(t->value, t->path ? text_at(object, t->path, number) : name) != t->equal)
            return false;
    return true;
}

bool field_selector_reads_object(const struct field_selector *s)
{
    return s && s->reads_object;
}

const char *field_selector_name(const struct field_selector *s)
{
    for (const struct term *t = s ? s->first : NULL; t; t = t->next)
        if (t->equal && t->path == NULL)
            return t->value;
    return NULL;
}
