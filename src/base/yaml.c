#include "base/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/yaml_scalar.h"

/*
 * Built from the parser's events, one after the other: a document that libyaml loads itself is whole in memory before
 * anything of it could be refused, and its scanner is quadratic in open brackets and in anchors. What this file does
 * not let it come to, each quadratic too: deep nesting and anchors (both stop at their event), %TAG lines (compared
 * with each other), long runs of blanks (their buffer is cleared, in its whole length, at each later word).
 */
#define MAX_NODES 50000
#define MAX_BLANKS 1024
#define PATH_MAX_BYTES ((size_t)256)

struct level {
    yyjson_mut_val *container, *key; /* key: of the value that comes next; NULL in a list, or where a key is due */
    size_t items, path_n;
};

struct builder {
    yaml_parser_t parser;
    yyjson_mut_doc *json;
    struct map *lines;  /* NULL: not asked for */
    struct buffer path; /* of the value that comes next, as far as it fits */
    struct level levels[JSON_MAX_DEPTH];
    size_t depth, nodes;
    struct error **err;
};

static int refuse(struct builder *b, const yaml_event_t *e, const char *why)
{
    return error_set(b->err, REASON_BAD_REQUEST, "line %zu: %s", e->start_mark.line + 1, why);
}

/* --- Where a value goes --- */

/* The path of the level's next member. One that does not fit is left out, with all below it. */
static void set_path(struct builder *b, const struct level *l, const char *fmt, ...) _printf_(3, 4);
static void set_path(struct builder *b, const struct level *l, const char *fmt, ...)
{
    char member[PATH_MAX_BYTES];
    va_list args;

    if (b->lines == NULL)
        return;
    va_start(args, fmt);
    int n = vsnprintf(member, sizeof(member), fmt, args);
    va_end(args);
    b->path.n = l->path_n;
    b->path.overflow = l->path_n == PATH_MAX_BYTES || n < 0 || (size_t)n >= sizeof(member);
    buffer_puts(&b->path, member);
}

static int take_key(struct builder *b, struct level *l, const yaml_event_t *e)
{
    const char *name = (const char *)e->data.scalar.value;

    if (e->type != YAML_SCALAR_EVENT || streq(name, "<<"))
        return refuse(b, e, "a key must be a plain string");
    l->key = yyjson_mut_strncpy(b->json, name, e->data.scalar.length);
    set_path(b, l, "%s%s", l->path_n ? "." : "", name);
    if (b->lines && !b->path.overflow)
        map_set(b->lines, buffer_str(&b->path), (void *)(e->start_mark.line + 1));
    return 0;
}

static void place(struct builder *b, yyjson_mut_val *v)
{
    struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;

    if (l == NULL) {
        yyjson_mut_doc_set_root(b->json, v);
    } else if (l->key) {
        yyjson_mut_obj_add(l->container, l->key, v);
        l->key = NULL;
    } else {
        set_path(b, l, "[%zu]", l->items++);
        yyjson_mut_arr_append(l->container, v);
    }
}

static int open_level(struct builder *b, const yaml_event_t *e, yyjson_mut_val *container)
{
    if (b->depth == JSON_MAX_DEPTH)
        return refuse(b, e, "the YAML document is nested too deeply");
    place(b, container);
    b->levels[b->depth++] = (struct level){container, NULL, 0, b->path.overflow ? PATH_MAX_BYTES : b->path.n};
    return 0;
}

/* --- Values --- */

static bool is_tag(const yaml_char_t *tag, const char *name)
{
    return streq((const char *)tag, name);
}

static yyjson_mut_val *scalar(struct builder *b, const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    yyjson_mut_val *v = NULL;

    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag && strlen(s) == n)
        v = yaml_resolve_plain(b->json, s);
    return v ? v : yyjson_mut_strncpy(b->json, s, n);
}

static int check_form(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse(b, e, "anchors are not accepted");
    if (tag && (e->type != YAML_SCALAR_EVENT || (!is_tag(tag, YAML_STR_TAG) && !is_tag(tag, "!"))))
        return refuse(b, e, "tags other than !!str are not accepted");
    return ++b->nodes > MAX_NODES ? refuse(b, e, "the YAML document has too many values") : 0;
}

static bool wants_key(const struct builder *b)
{
    const struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;
    return l && yyjson_mut_is_obj(l->container) && l->key == NULL;
}

static int take_scalar(struct builder *b, const yaml_event_t *e)
{
    if (check_form(b, e, e->data.scalar.anchor, e->data.scalar.tag) < 0)
        return -1;
    if (wants_key(b))
        return take_key(b, &b->levels[b->depth - 1], e);
    place(b, scalar(b, e));
    return 0;
}

static int take_start(struct builder *b, const yaml_event_t *e)
{
    bool map = e->type == YAML_MAPPING_START_EVENT;

    if (wants_key(b))
        return refuse(b, e, "a key must be a plain string");
    if (check_form(b, e, map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor,
                   map ? e->data.mapping_start.tag : e->data.sequence_start.tag) < 0)
        return -1;
    return open_level(b, e, map ? yyjson_mut_obj(b->json) : yyjson_mut_arr(b->json));
}

static int take(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return take_start(b, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(b, e, "aliases are not accepted");
    case YAML_DOCUMENT_START_EVENT:
        if (yyjson_mut_doc_get_root(b->json))
            return refuse(b, e, "more than one YAML document where one is expected");
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default:
        return 0;
    }
}

/* --- The text --- */

/* What libyaml takes for blanks and line ends; the bytes above ASCII are those of U+0085, U+2028 and U+2029. */
static bool is_blank(char c)
{
    return c && strchr(" \t\r\n\xc2\x85\xe2\x80\xa8\xa9", c);
}

static int check_text(struct str text, struct error **err)
{
    size_t blanks = 0;

    if (text.n > YAML_MAX)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "the YAML text has %zu bytes; at most %zu are read: send JSON",
                         text.n, YAML_MAX);
    for (size_t i = 0; i < text.n; i++) {
        blanks = is_blank(text.p[i]) ? blanks + 1 : 0;
        if (blanks > MAX_BLANKS)
            return error_set(err, REASON_BAD_REQUEST, "more than %d blanks in a row at byte %zu", MAX_BLANKS, i);
        if (text.n - i >= 4 && memcmp(text.p + i, "%TAG", 4) == 0 &&
            (i == 0 || (unsigned char)text.p[i - 1] < ' ' || (unsigned char)text.p[i - 1] >= 0x7f))
            return error_set(err, REASON_BAD_REQUEST, "%%TAG is not accepted");
    }
    return 0;
}

static int read_events(struct builder *b)
{
    yaml_event_t e;
    bool end = false;

    while (!end) {
        if (!yaml_parser_parse(&b->parser, &e))
            return error_set(b->err, REASON_BAD_REQUEST, "line %zu: not YAML: %s", b->parser.problem_mark.line + 1,
                             b->parser.problem ? b->parser.problem : "cannot be read");
        end = e.type == YAML_STREAM_END_EVENT;
        int rc = take(b, &e);
        yaml_event_delete(&e);
        if (rc < 0)
            return -1;
    }
    /* An empty text: null, as for kubectl. */
    if (yyjson_mut_doc_get_root(b->json) == NULL)
        yyjson_mut_doc_set_root(b->json, yyjson_mut_null(b->json));
    return 0;
}

yyjson_doc *yaml_parse(struct str text, struct map **lines, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
    struct builder b = {.json = json, .path = BUFFER_MAX(PATH_MAX_BYTES), .err = err};
    yyjson_doc *out = NULL;

    if (check_text(text, err) < 0)
        return NULL;
    b.lines = lines ? map_new() : NULL;
    yaml_parser_initialize(&b.parser);
    /* A text in UTF-16 would go past the look at its bytes. */
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.p, text.n);
    if (read_events(&b) == 0)
        out = yyjson_mut_doc_imut_copy(json, NULL);
    yaml_parser_delete(&b.parser);
    buffer_free(&b.path);
    if (out && lines)
        *lines = b.lines;
    else
        map_free(b.lines, NULL);
    return out;
}
