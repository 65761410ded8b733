#include "kinds/kind.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/yaml.h"
#include "kinds/column_path.h"
#include "kinds/schema_node.h"

struct loader {
    struct kind *kind;
    yyjson_val *spec, *names, *version;
    struct error **err;
};

static int refuse_definition(struct loader *l, const char *what)
{
    return error_set(l->err, REASON_INVALID, "%s", what);
}

static int read_strings(struct loader *l, yyjson_val *list, const char *where, const char ***out)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *v;
    const char **p = arena_alloc(l->kind->arena, sizeof(*p) * (yyjson_arr_size(list) + 1));

    *out = p;
    if (list && !yyjson_is_arr(list))
        return error_set(l->err, REASON_INVALID, "%s is a list of strings", where);
    while ((v = yyjson_arr_iter_next(&iter)))
        if ((*p++ = yyjson_get_str(v)) == NULL)
            return error_set(l->err, REASON_INVALID, "%s is a list of strings", where);
    return 0;
}

/* The only version of a kind is the one that is served and stored: there is nothing to convert. */
static int find_version(struct loader *l)
{
    yyjson_val *versions = yyjson_obj_get(l->spec, "versions");

    if (yyjson_arr_size(versions) != 1)
        return refuse_definition(l, "spec.versions holds exactly one version");
    l->version = yyjson_arr_get_first(versions);
    l->kind->version = json_str_at(l->version, "name");
    if (l->kind->version == NULL || !is_dns_label(str_from(l->kind->version)))
        return refuse_definition(l, "spec.versions[0].name is a DNS label");
    return 0;
}

static void name_paths(struct kind *k)
{
    const char *slash = *k->group ? "/" : "", *dot = *k->group ? "." : "";

    k->api_version = arena_printf(k->arena, "%s%s%s", k->group, slash, k->version);
    k->path = arena_printf(k->arena, "/%s/%s", *k->group ? "apis" : "api", k->api_version);
    k->full_name = arena_printf(k->arena, "%s%s%s", k->plural, dot, k->group);
    k->full_kind = arena_printf(k->arena, "%s%s%s", k->kind, dot, k->group);
}

static int read_names(struct loader *l)
{
    struct kind *k = l->kind;

    k->group = json_str_at(l->spec, "group");
    k->plural = json_str_at(l->names, "plural");
    k->singular = json_str_at(l->names, "singular");
    k->kind = json_str_at(l->names, "kind");
    k->list_kind = json_str_at(l->names, "listKind");
    if (k->group == NULL || (*k->group && !is_dns_subdomain(str_from(k->group))))
        return refuse_definition(l, "spec.group is a DNS subdomain, or empty");
    if (k->plural == NULL || !is_dns_label(str_from(k->plural)))
        return refuse_definition(l, "spec.names.plural is a DNS label");
    if (k->kind == NULL || *k->kind == '\0')
        return refuse_definition(l, "spec.names.kind is missing");
    if (k->singular == NULL)
        k->singular = arena_strdup(k->arena, k->kind);
    if (k->list_kind == NULL)
        k->list_kind = arena_printf(k->arena, "%sList", k->kind);
    name_paths(k);
    if (read_strings(l, yyjson_obj_get(l->names, "shortNames"), "spec.names.shortNames", &k->short_names) < 0)
        return -1;
    return read_strings(l, yyjson_obj_get(l->names, "categories"), "spec.names.categories", &k->categories);
}

static int read_size(struct loader *l, const char *key, size_t otherwise, size_t *out)
{
    yyjson_val *v = yyjson_obj_get(l->spec, key);

    *out = v ? yyjson_get_uint(v) : otherwise;
    if (*out == 0 || *out > otherwise)
        return error_set(l->err, REASON_INVALID, "spec.%s is a number of bytes up to %zu", key, otherwise);
    return 0;
}

static int read_log(struct loader *l)
{
    yyjson_val *v = yyjson_obj_get(l->spec, "x-open-hydra-log");
    int64_t events = json_int_at(v, "maxEvents", 0), age = json_int_at(v, "maxAgeSeconds", 0);

    if (v && (events < 0 || age < 0 || age > UINT32_MAX || (events == 0 && age == 0)))
        return refuse_definition(l, "spec.x-open-hydra-log has maxEvents or maxAgeSeconds");
    l->kind->log = (struct kind_log){(size_t)events, (unsigned)age};
    return 0;
}

static int read_spec(struct loader *l)
{
    struct kind *k = l->kind;
    yyjson_val *name_rule = yyjson_obj_get(l->spec, "x-open-hydra-name");

    k->namespace = json_str_at(l->spec, "x-open-hydra-namespace");
    if (!streq(json_str_at(l->spec, "scope"), k->namespace ? "Namespaced" : "Cluster"))
        return refuse_definition(l, "spec.scope is Cluster, or Namespaced with x-open-hydra-namespace");
    if (name_rule && !yyjson_equals_str(name_rule, "label"))
        return refuse_definition(l, "spec.x-open-hydra-name knows \"label\" alone");
    k->name_is_label = name_rule != NULL;
    k->owner = json_str_at(l->spec, "x-open-hydra-owner");
    k->name_text = json_str_at(l->spec, "x-open-hydra-name-text");
    k->has_status = json_at(l->version, "subresources.status") != NULL;
    if (read_size(l, "x-open-hydra-max-bytes", KIND_MAX_BYTES, &k->max_bytes) < 0)
        return -1;
    if (read_size(l, "x-open-hydra-owner-max-bytes", k->max_bytes, &k->owner_max_bytes) < 0)
        return -1;
    return read_log(l);
}

static int read_column(struct loader *l, yyjson_val *v, struct kind_column *c)
{
    static const char *const types[] = {"string", "integer", "number", "boolean", "date"};
    bool known = false;

    *c = (struct kind_column){.name = json_str_at(v, "name"),
                              .type = json_str_at(v, "type"),
                              .format = json_str_at(v, "format"),
                              .description = json_str_at(v, "description"),
                              .json_path = json_str_at(v, "jsonPath"),
                              .priority = (int)json_int_at(v, "priority", 0)};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        known |= streq(c->type, types[i]);
    if (c->name == NULL || !known)
        return refuse_definition(l, "additionalPrinterColumns: a column has a name and a type");
    if (!column_path_valid(c->json_path))
        return error_set(l->err, REASON_INVALID, "additionalPrinterColumns: %s: no such jsonPath", c->name);
    return 0;
}

static int read_columns(struct loader *l)
{
    yyjson_val *list = yyjson_obj_get(l->version, "additionalPrinterColumns"), *v;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    struct kind_column *out = arena_alloc(l->kind->arena, sizeof(*out) * (yyjson_arr_size(list) + 1));

    l->kind->columns = out;
    while ((v = yyjson_arr_iter_next(&iter)))
        if (read_column(l, v, &out[l->kind->columns_len++]) < 0)
            return -1;
    return 0;
}

/* As in additionalPrinterColumns, but of one value each: no lists, and with a type whose text is compared. */
static int read_selectable(struct loader *l)
{
    yyjson_val *list = yyjson_obj_get(l->version, "selectableFields"), *v;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    const char **out = arena_alloc(l->kind->arena, sizeof(*out) * (yyjson_arr_size(list) + 1));

    l->kind->selectable = out;
    while ((v = yyjson_arr_iter_next(&iter))) {
        const char *path = json_str_at(v, "jsonPath");
        const struct schema_node *n = path && path[0] == '.' ? schema_node_at(l->kind->root, path + 1) : NULL;
        if (n == NULL || n->type == SCHEMA_OBJECT || n->type == SCHEMA_ARRAY || n->write_only)
            return error_set(l->err, REASON_INVALID, "selectableFields: %s: no such field that can be compared",
                             path ? path : "");
        *out++ = path + 1;
    }
    return 0;
}

/* --- Subresources --- */

static bool is_subresource_verb(const char *verb)
{
    static const char *const known[] = {"get", "create", "update", "patch", "delete"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (streq(verb, known[i]))
            return true;
    return false;
}

static int read_subresource(struct loader *l, yyjson_val *v, struct kind_subresource *s)
{
    yyjson_val *max = yyjson_obj_get(v, "maxBytes");
    const char **verbs;

    *s = (struct kind_subresource){.name = json_str_at(v, "name"), .kind = json_str_at(v, "kind")};
    s->private = yyjson_get_bool(yyjson_obj_get(v, "private"));
    s->streams = yyjson_get_bool(yyjson_obj_get(v, "streams"));
    s->forms = yyjson_get_bool(yyjson_obj_get(v, "forms"));
    s->resumes = yyjson_get_bool(yyjson_obj_get(v, "resumes"));
    s->creates = yyjson_get_bool(yyjson_obj_get(v, "creates"));
    s->max_bytes = max ? yyjson_get_uint(max) : KIND_SUBRESOURCE_MAX_BYTES;
    if (s->name == NULL || !is_dns_label(str_from(s->name)) || streq(s->name, "status"))
        return refuse_definition(l, "x-open-hydra-subresources: a name is a DNS label, and not status");
    if (s->max_bytes == 0)
        return error_set(l->err, REASON_INVALID, "x-open-hydra-subresources: %s: maxBytes is a number of bytes",
                         s->name);
    if (read_strings(l, yyjson_obj_get(v, "verbs"), "x-open-hydra-subresources: verbs", &verbs) < 0)
        return -1;
    s->verbs = verbs;
    for (const char *const *verb = s->verbs; *verb; verb++)
        if (!is_subresource_verb(*verb))
            return error_set(l->err, REASON_INVALID,
                             "x-open-hydra-subresources: %s: verbs are get, create, update, patch and delete", s->name);
    return *s->verbs ? 0 : error_set(l->err, REASON_INVALID, "x-open-hydra-subresources: %s: has no verbs", s->name);
}

static int read_subresources(struct loader *l)
{
    yyjson_val *list = yyjson_obj_get(l->spec, "x-open-hydra-subresources"), *v;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    struct kind_subresource *out = arena_alloc(l->kind->arena, sizeof(*out) * (yyjson_arr_size(list) + 1));

    l->kind->subresources = out;
    while ((v = yyjson_arr_iter_next(&iter))) {
        struct kind_subresource *s = &out[l->kind->subresources_len];
        if (read_subresource(l, v, s) < 0)
            return -1;
        if (kind_subresource(l->kind, s->name))
            return error_set(l->err, REASON_INVALID, "x-open-hydra-subresources: %s is there twice", s->name);
        l->kind->subresources_len++;
    }
    return 0;
}

const struct kind_subresource *kind_subresource(const struct kind *k, const char *name)
{
    for (size_t i = 0; i < k->subresources_len; i++)
        if (streq(k->subresources[i].name, name))
            return &k->subresources[i];
    return NULL;
}

bool kind_subresource_has(const struct kind_subresource *s, const char *verb)
{
    for (const char *const *v = s->verbs; *v; v++)
        if (streq(*v, verb))
            return true;
    return false;
}

/* --- Marks --- */

/* The paths of marked fields. A mark inside a list or map has no one path. */
enum mark { MARK_WRITE_ONLY, MARK_OUTPUT_ONLY, MARK_IMMUTABLE };
#define MAX_MARKS 256
struct marks {
    struct loader *loader;
    enum mark mark;
    const char *paths[MAX_MARKS + 1];
    size_t n;
};

static bool is_marked(const struct schema_node *n, enum mark mark)
{
    return mark == MARK_WRITE_ONLY ? n->write_only : mark == MARK_OUTPUT_ONLY ? n->output_only : n->immutable;
}

static bool marked_below(const struct schema_node *n, enum mark mark)
{
    if (n == NULL)
        return false;
    for (size_t i = 0; i < n->properties_len; i++)
        if (marked_below(n->properties[i].node, mark))
            return true;
    return is_marked(n, mark) || marked_below(n->items, mark) || marked_below(n->additional, mark);
}

static int collect_marks(struct marks *m, const struct schema_node *n, const char *path)
{
    if (marked_below(n->items, m->mark) || marked_below(n->additional, m->mark))
        return error_set(m->loader->err, REASON_INVALID, "%s: an x-open-hydra mark inside a list or map", path);
    for (size_t i = 0; i < n->properties_len; i++) {
        const struct schema_property *p = &n->properties[i];
        const char *below = arena_printf(m->loader->kind->arena, "%s%s%s", path, *path ? "." : "", p->name.p);
        if (is_marked(p->node, m->mark)) {
            if (strchr(p->name.p, '.') || m->n == MAX_MARKS)
                return error_set(m->loader->err, REASON_INVALID, "%s: cannot be marked", below);
            m->paths[m->n++] = below;
        }
        if (collect_marks(m, p->node, below) < 0)
            return -1;
    }
    return 0;
}

static int read_marks(struct loader *l, enum mark mark, const char ***out)
{
    struct marks m = {.loader = l, .mark = mark};

    if (collect_marks(&m, l->kind->root, "") < 0)
        return -1;
    *out = arena_alloc(l->kind->arena, sizeof(**out) * (m.n + 1));
    memcpy(*out, m.paths, sizeof(**out) * (m.n + 1));
    return 0;
}

static int read_schema(struct loader *l)
{
    struct kind *k = l->kind;

    k->schema = json_at(l->version, "schema.openAPIV3Schema");
    k->root = schema_node_compile(k->arena, k->schema, k->kind, true, l->err);
    if (k->root == NULL)
        return -1;
    if (k->root->type != SCHEMA_OBJECT)
        return refuse_definition(l, "the schema of a kind is an object's");
    if (read_marks(l, MARK_WRITE_ONLY, &k->write_only) < 0 || read_marks(l, MARK_OUTPUT_ONLY, &k->output_only) < 0)
        return -1;
    return read_marks(l, MARK_IMMUTABLE, &k->immutable);
}

static int load_definition(struct loader *l)
{
    yyjson_val *root = yyjson_doc_get_root(l->kind->document);

    l->spec = yyjson_obj_get(root, "spec");
    l->names = yyjson_obj_get(l->spec, "names");
    if (!streq(json_str_at(root, "apiVersion"), "apiextensions.k8s.io/v1") ||
        !streq(json_str_at(root, "kind"), "CustomResourceDefinition"))
        return refuse_definition(l, "not a CustomResourceDefinition of apiextensions.k8s.io/v1");
    if (find_version(l) < 0 || read_names(l) < 0 || read_spec(l) < 0 || read_subresources(l) < 0 || read_columns(l) < 0)
        return -1;
    return read_schema(l) < 0 ? -1 : read_selectable(l);
}

struct kind *kind_load(struct str yaml, const char *source, struct error **err)
{
    struct kind *k = xcalloc(1, sizeof(*k));
    struct loader l = {.kind = k, .err = err};

    k->arena = arena_new();
    k->document = yaml_parse(yaml, NULL, err);
    if (k->document && load_definition(&l) == 0)
        return k;
    error_wrap(err, "%s", source);
    kind_free(k);
    return NULL;
}

void kind_free(struct kind *k)
{
    if (k == NULL)
        return;
    arena_free(k->arena);
    yyjson_doc_free(k->document);
    free(k);
}
