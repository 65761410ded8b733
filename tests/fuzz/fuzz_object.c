/* JSON to object: everything that a write goes through before hooks and store, on a kind with one of everything. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "server/model/merge_patch.h"
#include "server/model/metadata.h"
#include "server/model/same.h"
#include "server/model/schema.h"
#include "server/model/table.h"

static const char definition[] =
    "apiVersion: apiextensions.k8s.io/v1\n"
    "kind: CustomResourceDefinition\n"
    "spec:\n"
    "  group: example.org\n"
    "  scope: Cluster\n"
    "  names: {plural: gadgets, singular: gadget, kind: Gadget}\n"
    "  versions:\n"
    "  - name: v1\n"
    "    subresources: {status: {}}\n"
    "    additionalPrinterColumns:\n"
    "    - {name: Tags, type: string, jsonPath: '.spec.tags[1]'}\n"
    "    - {name: Part, type: integer, jsonPath: '.spec.parts[?(@.name==\"a\")].count'}\n"
    "    - {name: Since, type: date, jsonPath: .status.since}\n"
    "    schema:\n"
    "      openAPIV3Schema:\n"
    "        type: object\n"
    "        required: [spec]\n"
    "        properties:\n"
    "          spec:\n"
    "            type: object\n"
    "            required: [role]\n"
    "            properties:\n"
    "              role: {type: integer, format: int32, enum: [1, 2]}\n"
    "              ratio: {type: number, minimum: 0, exclusiveMinimum: true, maximum: 1}\n"
    "              word: {type: string, minLength: 2, maxLength: 40, pattern: '^[a-z]+(-[a-z]+)*$'}\n"
    "              when: {type: string, format: date-time}\n"
    "              tags: {type: array, maxItems: 3, items: {type: string}}\n"
    "              labels: {type: object, additionalProperties: {type: string, maxLength: 3}}\n"
    "              port: {x-kubernetes-int-or-string: true}\n"
    "              maybe: {type: string, nullable: true}\n"
    "              free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {n: {type: integer, "
    "default: 3}}}\n"
    "              parts: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, "
    "count: {type: integer, default: 7}}}}\n"
    "              owner: {type: string, x-open-hydra-immutable: true}\n"
    "              shape: {type: object, x-open-hydra-immutable: true, additionalProperties: {type: integer}}\n"
    "              url: {type: string, x-open-hydra-output-only: true}\n"
    "              password: {type: string, x-open-hydra-write-only: true}\n"
    "          status: {type: object, properties: {since: {type: string, format: date-time}}}\n";

static struct kind *kind;
static yyjson_doc *old;

static void start(void)
{
    struct error *err = NULL;

    kind = kind_load((struct str){definition, sizeof(definition) - 1}, "fuzz", &err);
    old = json_parse(STR("{\"apiVersion\":\"example.org/"
                         "v1\",\"kind\":\"Gadget\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"generation\":1},"
                         "\"spec\":{\"role\":1,\"owner\":\"a\",\"shape\":{\"x\":1},\"url\":\"http://x/\"}}"),
                     &err);
    if (kind == NULL || old == NULL)
        abort();
}

/* What the whole server relies on. */
static void check_result(struct arena *a, yyjson_mut_val *object)
{
    size_t n;
    char *text = json_mut_write(object, &n);
    yyjson_doc *again = json_parse((struct str){text, n}, NULL);
    struct buffer b = BUFFER_MAX((size_t)1 << 24);
    struct table t = {.kind = kind};

    if (again == NULL || json_mut_at(object, "spec.password") ||
        schema_find_duplicates(yyjson_doc_get_root(again), NULL, NULL))
        abort();
    table_object(&t, &b, yyjson_doc_get_root(again), (struct str){text, n}, true);
    yyjson_doc *table = json_parse(buffer_str(&b), NULL);
    if (table == NULL)
        abort();
    yyjson_doc_free(table);
    yyjson_doc_free(again);
    buffer_free(&b);
    free(text);
}

static void update(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    _cleanup_error_ struct error *err = NULL;
    const char *secret[1];
    uint64_t revision;
    int rc;

    if (metadata_decode(kind, doc, object, &err) < 0)
        return;
    schema_prune(kind, object, NULL, NULL);
    rc = schema_take_write_only(kind, doc, object, secret, a, &err);
    schema_restore_output_only(kind, yyjson_doc_get_root(old), doc, object);
    rc |= schema_check_immutable(kind, yyjson_doc_get_root(old), doc, object, &err);
    schema_default(kind, doc, object);
    rc |= schema_validate(kind, object, &err);
    rc |= metadata_sent_revision(object, &revision, &err);
    rc |= metadata_validate_update(kind, yyjson_doc_get_root(old), object, &err);
    if (rc == 0 && err)
        abort();
    schema_invalid_prefix(err, kind, metadata_name(object));
    metadata_stamp_update(kind, doc, object, yyjson_doc_get_root(old));
    metadata_set_revision(doc, object, 7);
    if (!value_same(object, object))
        abort();
    check_result(a, object);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    if (kind == NULL)
        start();
    _cleanup_json_ yyjson_doc *sent = json_parse((struct str){(const char *)data, size}, NULL);
    if (sent == NULL)
        return;
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL), *merged = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *object = yyjson_val_mut_copy(doc, yyjson_doc_get_root(sent));

    schema_find_duplicates(yyjson_doc_get_root(sent), NULL, NULL);
    schema_drop_duplicates(object);
    update(a, doc, object);
    object = merge_patch(merged, yyjson_doc_get_root(old), yyjson_doc_get_root(sent));
    schema_drop_duplicates(object);
    update(a, merged, object);
}
