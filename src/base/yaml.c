#include "base/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/alloc.h"

/* Far above any manifest or configuration; stops alias bombs. */
#define MAX_NODES 200000

struct conversion {
    yaml_document_t *yaml;
    yyjson_mut_doc *json;
    struct map *lines;
    size_t nodes;
    struct error **err;
};

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static yyjson_mut_val *resolve_integer(struct conversion *c, const char *s)
{
    const char *digits = *s == '+' || *s == '-' ? s + 1 : s;
    char *end;

    if (!ascii_isdigit(*digits))
        return NULL;
    errno = 0;
    if (*s == '-') {
        long long value = strtoll(s, &end, 0);
        return *end || errno ? NULL : yyjson_mut_sint(c->json, value);
    }
    unsigned long long value = strtoull(s, &end, 0);
    return *end || errno ? NULL : yyjson_mut_uint(c->json, value);
}

static yyjson_mut_val *resolve_real(struct conversion *c, const char *s)
{
    char *end;

    if (s[strspn(s, "+-.0123456789eE")] != '\0' || strpbrk(s, "0123456789") == NULL)
        return NULL;
    errno = 0;
    double value = strtod(s, &end);
    return *end || errno ? NULL : yyjson_mut_real(c->json, value);
}

static yyjson_mut_val *resolve_plain(struct conversion *c, const char *s)
{
    static const char *const nulls[] = {"", "~", "null"};
    static const char *const trues[] = {"true", "yes", "on", "y"};
    static const char *const falses[] = {"false", "no", "off", "n"};

    if (is_one_of(s, nulls, ARRAY_SIZE(nulls)))
        return yyjson_mut_null(c->json);
    if (is_one_of(s, trues, ARRAY_SIZE(trues)))
        return yyjson_mut_true(c->json);
    if (is_one_of(s, falses, ARRAY_SIZE(falses)))
        return yyjson_mut_false(c->json);
    yyjson_mut_val *number = resolve_integer(c, s);
    return number ? number : resolve_real(c, s);
}

static yyjson_mut_val *convert_scalar(struct conversion *c, const yaml_node_t *node)
{
    const char *s = (const char *)node->data.scalar.value;
    size_t n = node->data.scalar.length;

    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strlen(s) == n &&
        (node->tag == NULL || streq((const char *)node->tag, YAML_STR_TAG))) {
        yyjson_mut_val *v = resolve_plain(c, s);
        if (v)
            return v;
    }
    return yyjson_mut_strncpy(c->json, s, n);
}

static yyjson_mut_val *convert(struct conversion *c, int index, const char *path, size_t depth);

static yyjson_mut_val *convert_sequence(struct conversion *c, const yaml_node_t *node, const char *path, size_t depth)
{
    yyjson_mut_val *out = yyjson_mut_arr(c->json);
    size_t i = 0;

    for (yaml_node_item_t *it = node->data.sequence.items.start; it < node->data.sequence.items.top; it++, i++) {
        _cleanup_free_ char *sub = c->lines ? xasprintf("%s[%zu]", path, i) : NULL;
        yyjson_mut_val *v = convert(c, *it, sub, depth);
        if (v == NULL)
            return NULL;
        yyjson_mut_arr_append(out, v);
    }
    return out;
}

static yyjson_mut_val *convert_mapping(struct conversion *c, const yaml_node_t *node, const char *path, size_t depth)
{
    yyjson_mut_val *out = yyjson_mut_obj(c->json);

    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(c->yaml, p->key);
        if (key == NULL || key->type != YAML_SCALAR_NODE || streq((const char *)key->data.scalar.value, "<<")) {
            error_set(c->err, REASON_BAD_REQUEST, "line %zu: a key must be a plain string", node->start_mark.line + 1);
            return NULL;
        }
        const char *name = (const char *)key->data.scalar.value;
        _cleanup_free_ char *sub = NULL;
        if (c->lines) {
            sub = xasprintf("%s%s%s", path, *path ? "." : "", name);
            map_set(c->lines, str_from(sub), (void *)(key->start_mark.line + 1));
        }
        yyjson_mut_val *v = convert(c, p->value, sub, depth);
        if (v == NULL)
            return NULL;
        yyjson_mut_obj_add(out, yyjson_mut_strncpy(c->json, name, key->data.scalar.length), v);
    }
    return out;
}

static yyjson_mut_val *convert(struct conversion *c, int index, const char *path, size_t depth)
{
    const yaml_node_t *node = yaml_document_get_node(c->yaml, index);

    if (node == NULL || ++c->nodes > MAX_NODES || depth >= JSON_MAX_DEPTH) {
        error_set(c->err, REASON_BAD_REQUEST, "line %zu: the YAML document is too large or nested too deeply",
                  node ? node->start_mark.line + 1 : 0);
        return NULL;
    }
    if (node->type == YAML_SEQUENCE_NODE)
        return convert_sequence(c, node, path, depth + 1);
    if (node->type == YAML_MAPPING_NODE)
        return convert_mapping(c, node, path, depth + 1);
    return convert_scalar(c, node);
}

static yyjson_doc *convert_document(yaml_document_t *yaml, struct map *lines, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
    struct conversion c = {.yaml = yaml, .json = json, .lines = lines, .err = err};
    /* An empty text has no root: null, as for kubectl. */
    yyjson_mut_val *root = yaml_document_get_root_node(yaml) ? convert(&c, 1, "", 0) : yyjson_mut_null(json);

    if (root == NULL)
        return NULL;
    yyjson_mut_doc_set_root(json, root);
    return yyjson_mut_doc_imut_copy(json, NULL);
}

static void parser_error(const yaml_parser_t *parser, struct error **err)
{
    error_set(err, REASON_BAD_REQUEST, "line %zu: not YAML: %s", parser->problem_mark.line + 1,
              parser->problem ? parser->problem : "cannot be read");
}

static bool another_document(yaml_parser_t *parser)
{
    yaml_document_t next;

    if (!yaml_parser_load(parser, &next))
        return true;
    bool present = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    return present;
}

yyjson_doc *yaml_parse(struct str text, struct map **lines, struct error **err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    yyjson_doc *out = NULL;

    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    if (!yaml_parser_load(&parser, &document)) {
        parser_error(&parser, err);
        yaml_parser_delete(&parser);
        return NULL;
    }
    struct map *found = lines ? map_new() : NULL;
    out = convert_document(&document, found, err);
    yaml_document_delete(&document);
    if (out && another_document(&parser)) {
        error_set(err, REASON_BAD_REQUEST, "more than one YAML document where one is expected");
        yyjson_doc_free(out);
        out = NULL;
    }
    yaml_parser_delete(&parser);
    if (out && lines)
        *lines = found;
    else
        map_free(found, NULL);
    return out;
}
