#include "server/gateway/template.h"

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_' && (s.p[i] < 'A' || s.p[i] > 'Z'))
            return false;
    return s.n > 0;
}

static const struct template_value *find_value(const struct template_value *values, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(name, values[i].name))
            return &values[i];
    return NULL;
}

int template_expand(struct buffer *out, struct str text, const struct template_value *values, size_t values_len,
                    struct error **err)
{
    struct str part, name;

    /* An @ that begins no @NAME@ (a named location) stands for itself. */
    while (str_split(&text, '@', &part)) {
        buffer_add(out, part);
        struct str rest = text;
        if (text.p == NULL || !str_split(&rest, '@', &name) || rest.p == NULL || !is_name(name)) {
            if (text.p)
                buffer_append(out, "@", 1);
            continue;
        }
        const struct template_value *v = find_value(values, values_len, name);
        if (v == NULL)
            return error_set(err, REASON_INTERNAL, "template: nothing for @%.*s@", (int)name.n, name.p);
        buffer_add(out, v->text);
        text = rest;
    }
    return out->overflow ? error_set(err, REASON_INTERNAL, "template: too large") : 0;
}
