#include "server/documents/openapi.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/documents/documents.h"
#include "server/documents/openapi_paths.h"
#include "server/documents/openapi_v2.h"
#include "server/model/meta_schema.h"

#define DOCUMENT_MAX ((size_t)16 << 20)
#define PROTOBUF_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

enum form { FORM_JSON, FORM_PROTOBUF };

struct openapi {
    struct documents *documents;
};

/* --- Schemas --- */

/* The marks become what OpenAPI calls them; the others are nobody's business outside. */
static void translate_marks(yyjson_mut_doc *doc, yyjson_mut_val *v)
{
    static const struct {
        const char *ours, *standard;
    } marks[] = {{"x-open-hydra-write-only", "writeOnly"},
                 {"x-open-hydra-output-only", "readOnly"},
                 {"x-open-hydra-immutable", NULL},
                 {"x-open-hydra-lines", NULL},
                 {"x-open-hydra-max-bytes", NULL}};
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
    yyjson_mut_val *k;

    if (!yyjson_mut_is_obj(v))
        return;
    while ((k = yyjson_mut_obj_iter_next(&iter)))
        translate_marks(doc, yyjson_mut_obj_iter_get_val(k));
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (yyjson_mut_obj_remove_key(v, marks[i].ours) && marks[i].standard)
            json_mut_set_bool(doc, v, marks[i].standard, true);
}

static yyjson_mut_val *type_meta_field(yyjson_mut_doc *doc, const char *description)
{
    yyjson_mut_val *v = yyjson_mut_obj(doc);

    json_mut_set_str(doc, v, "type", "string");
    json_mut_set_str(doc, v, "description", description);
    return v;
}

static void set_type_meta(yyjson_mut_doc *doc, yyjson_mut_val *properties)
{
    json_mut_set(doc, properties, "apiVersion",
                 type_meta_field(doc, "The group and version of this form of the object."));
    json_mut_set(doc, properties, "kind", type_meta_field(doc, "The object's kind, in CamelCase."));
}

static yyjson_mut_val *kind_schema(yyjson_mut_doc *doc, const struct kind *k)
{
    yyjson_mut_val *schema = yyjson_val_mut_copy(doc, k->schema);
    yyjson_mut_val *properties = json_mut_make_obj(doc, schema, "properties"), *metadata = yyjson_mut_obj(doc);
    yyjson_mut_val *all = yyjson_mut_arr(doc);

    translate_marks(doc, schema);
    set_type_meta(doc, properties);
    yyjson_mut_arr_append(all, openapi_reference(doc, META_SCHEMA_PREFIX "ObjectMeta"));
    json_mut_set(doc, metadata, "allOf", all);
    json_mut_set(doc, properties, "metadata", metadata);
    json_mut_set(doc, schema, "x-kubernetes-group-version-kind", openapi_kinds(doc, k, k->kind));
    return schema;
}

static yyjson_mut_val *list_schema(yyjson_mut_doc *doc, const struct kind *k)
{
    _cleanup_free_ char *name = openapi_schema_name(k, k->kind);
    yyjson_mut_val *schema = yyjson_mut_obj(doc), *required = yyjson_mut_arr(doc), *items = yyjson_mut_obj(doc);

    json_mut_set_str(doc, schema, "type", "object");
    yyjson_mut_arr_add_str(doc, required, "items");
    json_mut_set(doc, schema, "required", required);
    yyjson_mut_val *properties = json_mut_make_obj(doc, schema, "properties");
    set_type_meta(doc, properties);
    json_mut_set(doc, properties, "metadata", openapi_reference(doc, META_SCHEMA_PREFIX "ListMeta"));
    json_mut_set_str(doc, items, "type", "array");
    json_mut_set(doc, items, "items", openapi_reference(doc, name));
    json_mut_set(doc, properties, "items", items);
    json_mut_set(doc, schema, "x-kubernetes-group-version-kind", openapi_kinds(doc, k, k->list_kind));
    return schema;
}

static void add_meta_schemas(yyjson_mut_doc *doc, yyjson_mut_val *schemas)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(meta_schemas());
    yyjson_val *k;
    const char *key;

    while ((k = yyjson_obj_iter_next(&iter)) && (key = yyjson_get_str(k))) {
        _cleanup_free_ char *name = xasprintf("%s%s", META_SCHEMA_PREFIX, key);
        json_mut_set(doc, schemas, name, yyjson_val_mut_copy(doc, yyjson_obj_iter_get_val(k)));
    }
}

static void add_kind(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct kind *k)
{
    yyjson_mut_val *schemas = json_mut_at(root, "components.schemas");
    _cleanup_free_ char *name = openapi_schema_name(k, k->kind), *list_name = openapi_schema_name(k, k->list_kind);

    json_mut_set(doc, schemas, name, kind_schema(doc, k));
    json_mut_set(doc, schemas, list_name, list_schema(doc, k));
    openapi_add_paths(doc, yyjson_mut_obj_get(root, "paths"), k);
}

/* --- Documents --- */

static yyjson_mut_val *new_document(yyjson_mut_doc *doc, const char *version)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    json_mut_set_str(doc, root, "openapi", "3.0.0");
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "info"), "title", "open-hydra");
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "info"), "version", version);
    json_mut_make_obj(doc, root, "paths");
    add_meta_schemas(doc, json_mut_make_obj(doc, root, "components.schemas"));
    return root;
}

static void take_text(struct buffer *b, yyjson_mut_val *v)
{
    size_t n;
    _cleanup_free_ char *text = json_mut_write(v, &n);

    buffer_append(b, text, n);
}

static void add_version(struct openapi *o, const struct kind *const *kinds, size_t n, const struct kind *first,
                        const char *product, yyjson_mut_doc *index)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    yyjson_mut_val *root = new_document(doc, product);
    _cleanup_free_ char *path = xasprintf("/openapi/v3%s", first->path);

    for (size_t i = 0; i < n; i++)
        if (streq(kinds[i]->api_version, first->api_version))
            add_kind(doc, root, kinds[i]);
    take_text(&b, root);
    const char *hash = documents_add(o->documents, path, FORM_JSON, "application/json", &b);
    _cleanup_free_ char *url = xasprintf("%s?hash=%s", path, hash);
    yyjson_mut_val *entry = yyjson_mut_obj(index);
    json_mut_set_str(index, entry, "serverRelativeURL", url);
    json_mut_set(index, yyjson_mut_obj_get(yyjson_mut_doc_get_root(index), "paths"), first->path + 1, entry);
}

static void add_v3(struct openapi *o, const struct kind *const *kinds, size_t n, const char *product)
{
    _cleanup_json_mut_ yyjson_mut_doc *index = yyjson_mut_doc_new(NULL);
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);

    yyjson_mut_doc_set_root(index, yyjson_mut_obj(index));
    json_mut_make_obj(index, yyjson_mut_doc_get_root(index), "paths");
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= !streq(kinds[j]->api_version, kinds[i]->api_version);
        if (first)
            add_version(o, kinds, n, kinds[i], product, index);
    }
    take_text(&b, yyjson_mut_doc_get_root(index));
    documents_add(o->documents, "/openapi/v3", FORM_JSON, "application/json", &b);
}

/* Older kubectl reads it in protobuf alone. The same in JSON, which nobody asks for, only says that it is there. */
static void add_v2(struct openapi *o, const struct kind *const *kinds, size_t n, const char *product)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct buffer b = BUFFER_MAX(DOCUMENT_MAX);
    yyjson_mut_val *root = new_document(doc, product);

    for (size_t i = 0; i < n; i++)
        add_kind(doc, root, kinds[i]);
    openapi_v2_write(&b, root);
    documents_add(o->documents, "/openapi/v2", FORM_PROTOBUF, PROTOBUF_TYPE, &b);
    buffer_puts(&b, "{\"swagger\":\"2.0\",\"info\":{\"title\":\"open-hydra\",\"version\":");
    buffer_json_string(&b, str_from(product));
    buffer_puts(&b, "},\"paths\":{}}");
    documents_add(o->documents, "/openapi/v2", FORM_JSON, "application/json", &b);
}

struct openapi *openapi_new(const struct kind *const *kinds, size_t n, const char *product_version)
{
    struct openapi *o = xcalloc(1, sizeof(*o));
    const char *product = product_version ? product_version : "unknown";

    o->documents = documents_new();
    add_v3(o, kinds, n, product);
    add_v2(o, kinds, n, product);
    return o;
}

void openapi_free(struct openapi *o)
{
    if (o == NULL)
        return;
    documents_free(o->documents);
    free(o);
}

const struct document *openapi_find(const struct openapi *o, struct str path, const char *accept)
{
    const struct document *found = NULL;

    if (accept && strstr(accept, "protobuf"))
        found = documents_find(o->documents, path, FORM_PROTOBUF);
    return found ? found : documents_find(o->documents, path, FORM_JSON);
}
