#include "server/model/selector.h"

struct term {
    struct term *next;
    bool equal;
    const char *name;
};
struct field_selector {
    struct term *first;
};

static int read_term(struct arena *a, struct str text, struct term *t, struct error **err)
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
    if (!str_is(key, "metadata.name"))
        return error_set(err, REASON_BAD_REQUEST, "field label not supported: %.*s", (int)(key.n > 100 ? 100 : key.n),
                         key.p);
    t->name = arena_strndup(a, value.p, value.n);
    return 0;
}

int field_selector_parse(struct arena *a, const char *text, const struct field_selector **out, struct error **err)
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
        if (read_term(a, part, t, err) < 0)
            return -1;
        t->next = s->first;
        s->first = t;
    }
    if (s->first)
        *out = s;
    return 0;
}

bool field_selector_matches(const struct field_selector *s, const char *name)
{
    for (const struct term *t = s ? s->first : NULL; t; t = t->next)
        if (streq(t->name, name) != t->equal)
            return false;
    return true;
}

const char *field_selector_name(const struct field_selector *s)
{
    for (const struct term *t = s ? s->first : NULL; t; t = t->next)
        if (t->equal)
            return t->name;
    return NULL;
}
