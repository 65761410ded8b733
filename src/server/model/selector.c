#include "server/model/selector.h"

#include "server/model/metadata.h"

enum operator{ OP_EXISTS, OP_NOT_EXISTS, OP_IN, OP_NOT_IN, OP_GREATER, OP_LESS };

struct value {
    struct value *next;
    struct str text;
};
struct requirement {
    struct requirement *next;
    enum operator op;
    struct str key;
    struct value *values;
    long long bound; /* of > and < */
};
struct selector {
    struct requirement *first;
};

/* --- Words and symbols --- */

enum token_type {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_COMMA,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_NOT,
    TOKEN_EQUALS,
    TOKEN_NOT_EQUALS,
    TOKEN_GREATER,
    TOKEN_LESS,
    TOKEN_UNKNOWN,
};
struct token {
    enum token_type type;
    struct str text;
};
struct parser {
    struct arena *arena;
    struct str rest;
    struct error **err;
};

static bool is_symbol(char c)
{
    return c && strchr("=!(),<>", c);
}

static struct token symbol(struct str s)
{
    static const struct {
        const char *text;
        enum token_type type;
    } symbols[] = {{"==", TOKEN_EQUALS}, {"!=", TOKEN_NOT_EQUALS}, {"=", TOKEN_EQUALS},
                   {"!", TOKEN_NOT},     {"(", TOKEN_OPEN},        {")", TOKEN_CLOSE},
                   {",", TOKEN_COMMA},   {">", TOKEN_GREATER},     {"<", TOKEN_LESS}};

    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        size_t n = strlen(symbols[i].text);
        if (s.n >= n && memcmp(s.p, symbols[i].text, n) == 0)
            return (struct token){symbols[i].type, {s.p, n}};
    }
    return (struct token){TOKEN_UNKNOWN, {s.p, 1}};
}

static struct token peek(struct parser *p)
{
    size_t n = 0;

    while (p->rest.n && ascii_isspace(*p->rest.p))
        p->rest = (struct str){p->rest.p + 1, p->rest.n - 1};
    if (p->rest.n == 0)
        return (struct token){TOKEN_END, {"", 0}};
    while (n < p->rest.n && !is_symbol(p->rest.p[n]) && !ascii_isspace(p->rest.p[n]))
        n++;
    return n ? (struct token){TOKEN_WORD, {p->rest.p, n}} : symbol(p->rest);
}

static void skip(struct parser *p, struct token t)
{
    p->rest = (struct str){t.text.p + t.text.n, p->rest.n - t.text.n};
}

static struct token next(struct parser *p)
{
    struct token t = peek(p);
    if (t.type != TOKEN_END)
        skip(p, t);
    return t;
}

static int unexpected(struct parser *p, struct token found, const char *expected)
{
    return error_set(p->err, REASON_BAD_REQUEST, "unable to parse requirement: found '%.*s', expected: %s",
                     (int)(found.text.n > 100 ? 100 : found.text.n), found.text.p, expected);
}

/* --- Requirements --- */

static int add_value(struct parser *p, struct requirement *r, struct str text)
{
    const char *why;
    struct value *v = arena_alloc(p->arena, sizeof(*v));

    if (!label_value_valid(text, &why))
        return error_set(p->err, REASON_BAD_REQUEST, "unable to parse requirement: values: Invalid value: \"%.*s\": %s",
                         (int)(text.n > 100 ? 100 : text.n), text.p, why);
    v->text = text;
    v->next = r->values;
    r->values = v;
    return 0;
}

/* (a, b): an empty place between commas is the empty value. */
static int read_set(struct parser *p, struct requirement *r)
{
    struct token t = next(p);

    if (t.type != TOKEN_OPEN)
        return unexpected(p, t, "'('");
    do {
        t = peek(p);
        if (t.type == TOKEN_WORD)
            skip(p, t);
        if (add_value(p, r, t.type == TOKEN_WORD ? t.text : STR("")) < 0)
            return -1;
        t = next(p);
    } while (t.type == TOKEN_COMMA);
    return t.type == TOKEN_CLOSE ? 0 : unexpected(p, t, "',' or ')'");
}

/* Nothing after «a=» means the empty value. */
static int read_exact(struct parser *p, struct requirement *r)
{
    struct token t = peek(p);

    if (t.type == TOKEN_WORD)
        skip(p, t);
    else if (t.type != TOKEN_END && t.type != TOKEN_COMMA)
        return unexpected(p, t, "identifier");
    return add_value(p, r, t.type == TOKEN_WORD ? t.text : STR(""));
}

static bool to_integer(struct str s, long long *out)
{
    bool negative = s.n && *s.p == '-';
    unsigned long long value;

    if (negative)
        s = (struct str){s.p + 1, s.n - 1};
    if (str_to_u64(s, INT64_MAX, &value) < 0)
        return false;
    *out = negative ? -(long long)value : (long long)value;
    return true;
}

static int read_bound(struct parser *p, struct requirement *r)
{
    struct token t = next(p);

    if (t.type != TOKEN_WORD || !to_integer(t.text, &r->bound))
        return unexpected(p, t, "an integer, for 'Gt', 'Lt' operators");
    return 0;
}

static int read_operator(struct parser *p, struct requirement *r)
{
    struct token t = peek(p);

    r->op = OP_EXISTS;
    if (t.type == TOKEN_END || t.type == TOKEN_COMMA)
        return 0;
    skip(p, t);
    if (t.type == TOKEN_EQUALS || t.type == TOKEN_NOT_EQUALS) {
        r->op = t.type == TOKEN_EQUALS ? OP_IN : OP_NOT_IN;
        return read_exact(p, r);
    }
    if (t.type == TOKEN_GREATER || t.type == TOKEN_LESS) {
        r->op = t.type == TOKEN_GREATER ? OP_GREATER : OP_LESS;
        return read_bound(p, r);
    }
    if (t.type == TOKEN_WORD && (str_is(t.text, "in") || str_is(t.text, "notin"))) {
        r->op = str_is(t.text, "in") ? OP_IN : OP_NOT_IN;
        return read_set(p, r);
    }
    return unexpected(p, t, "in, notin, =, ==, !=, gt, lt");
}

static int read_requirement(struct parser *p, struct requirement *r)
{
    struct token t = next(p);
    bool absent = t.type == TOKEN_NOT;
    const char *why;

    if (absent)
        t = next(p);
    if (t.type != TOKEN_WORD)
        return unexpected(p, t, absent ? "identifier" : "!, identifier, or ','");
    if (!label_key_valid(t.text, &why))
        return error_set(p->err, REASON_BAD_REQUEST, "unable to parse requirement: key: Invalid value: \"%.*s\": %s",
                         (int)(t.text.n > 100 ? 100 : t.text.n), t.text.p, why);
    r->key = t.text;
    r->op = OP_NOT_EXISTS;
    return absent ? 0 : read_operator(p, r);
}

int selector_parse(struct arena *a, const char *text, const struct selector **out, struct error **err)
{
    struct parser p = {.arena = a, .err = err};
    struct selector *s = arena_alloc(a, sizeof(*s));
    struct requirement **tail = &s->first;
    struct token t;

    *out = NULL;
    if (text && strlen(text) > SELECTOR_MAX)
        return error_set(err, REASON_BAD_REQUEST, "the selector is longer than %d bytes", SELECTOR_MAX);
    p.rest = str_from(arena_strdup(a, text ? text : ""));
    if (peek(&p).type == TOKEN_END)
        return 0;
    do {
        struct requirement *r = arena_alloc(a, sizeof(*r));
        if (read_requirement(&p, r) < 0)
            return -1;
        *tail = r;
        tail = &r->next;
        t = next(&p);
    } while (t.type == TOKEN_COMMA);
    if (t.type != TOKEN_END)
        return unexpected(&p, t, "',' or 'end of string'");
    *out = s;
    return 0;
}

/* --- Matching --- */

static bool is_among(const struct value *v, struct str text)
{
    for (; v; v = v->next)
        if (str_equal(v->text, text))
            return true;
    return false;
}

static bool is_met(const struct requirement *r, yyjson_val *labels)
{
    yyjson_val *v = yyjson_obj_getn(labels, r->key.p, r->key.n);
    struct str text;
    long long number;

    if (!yyjson_is_str(v))
        return r->op == OP_NOT_EXISTS || r->op == OP_NOT_IN;
    text = (struct str){yyjson_get_str(v), yyjson_get_len(v)};
    switch (r->op) {
    case OP_EXISTS:
        return true;
    case OP_NOT_EXISTS:
        return false;
    case OP_IN:
        return is_among(r->values, text);
    case OP_NOT_IN:
        return !is_among(r->values, text);
    case OP_GREATER:
        return to_integer(text, &number) && number > r->bound;
    case OP_LESS:
        return to_integer(text, &number) && number < r->bound;
    }
    return false;
}

bool selector_matches(const struct selector *s, yyjson_val *object)
{
    yyjson_val *labels = yyjson_obj_get(yyjson_obj_get(object, "metadata"), "labels");

    for (const struct requirement *r = s ? s->first : NULL; r; r = r->next)
        if (!is_met(r, labels))
            return false;
    return true;
}
