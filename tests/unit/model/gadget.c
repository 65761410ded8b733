#include "unit/model/gadget.h"

#include <stdlib.h>

static const char definition[] =
    "apiVersion: apiextensions.k8s.io/v1\n"
    "kind: CustomResourceDefinition\n"
    "metadata: {name: gadgets.example.org}\n"
    "spec:\n"
    "  group: example.org\n"
    "  scope: Cluster\n"
    "  x-open-hydra-name: label\n"
    "  x-open-hydra-subresources:\n"
    "  - {name: ticket, kind: GadgetTicket, verbs: [create]}\n"
    "  - {name: log, verbs: [get, update]}\n"
    "  - {name: inner, kind: X, verbs: [get], private: true}\n"
    "  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gd], categories: [things]}\n"
    "  versions:\n"
    "  - name: v1\n"
    "    subresources: {status: {}}\n"
    "    selectableFields: [{jsonPath: .spec.color}, {jsonPath: .spec.size}, {jsonPath: .status.ready}]\n"
    "    additionalPrinterColumns:\n"
    "    - {name: Role, type: integer, jsonPath: .spec.role, description: Which one.}\n"
    "    - {name: Tags, type: string, jsonPath: .spec.tags}\n"
    "    - {name: Ready, type: boolean, jsonPath: .status.ready, priority: 1}\n"
    "    - {name: Load, type: number, jsonPath: .status.load}\n"
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
    "              color: {type: string, enum: [red, green]}\n"
    "              size: {type: integer, minimum: 1, maximum: 10}\n"
    "              big: {type: integer, format: int64}\n"
    "              ratio: {type: number, minimum: 0, exclusiveMinimum: true, maximum: 1, exclusiveMaximum: true}\n"
    "              word: {type: string, minLength: 2, maxLength: 4, pattern: '^[a-z]+$'}\n"
    "              pattern: {type: string, pattern: '^a*$'}\n"
    "              when: {type: string, format: date-time}\n"
    "              tags: {type: array, minItems: 1, maxItems: 3, items: {type: string}}\n"
    "              labels: {type: object, maxProperties: 2, additionalProperties: {type: string, maxLength: 3}}\n"
    "              port: {x-kubernetes-int-or-string: true}\n"
    "              note: {type: string, x-open-hydra-lines: true}\n"
    "              maybe: {type: string, nullable: true}\n"
    "              flag: {type: boolean, default: true}\n"
    "              free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {n: {type: integer}}}\n"
    "              small: {type: object, x-kubernetes-preserve-unknown-fields: true, x-open-hydra-max-bytes: 12}\n"
    "              short: {type: string, x-open-hydra-max-bytes: 5}\n"
    "              any: {x-kubernetes-preserve-unknown-fields: true}\n"
    "              parts:\n"
    "                type: array\n"
    "                items:\n"
    "                  type: object\n"
    "                  required: [name]\n"
    "                  properties:\n"
    "                    name: {type: string}\n"
    "                    count: {type: integer, default: 7}\n"
    "              nested: {type: object, default: {depth: 1}, properties: {depth: {type: integer}, more: {type: "
    "string, default: m}}}\n"
    "              owner: {type: string, x-open-hydra-immutable: true}\n"
    "              shape: {type: object, x-open-hydra-immutable: true, additionalProperties: {type: integer}}\n"
    "              url: {type: string, x-open-hydra-output-only: true}\n"
    "              password: {type: string, minLength: 1, maxLength: 20, x-open-hydra-write-only: true}\n"
    "              login: {type: object, properties: {token: {type: string, x-open-hydra-write-only: true}, host: "
    "{type: string}}}\n"
    "          status:\n"
    "            type: object\n"
    "            properties:\n"
    "              ready: {type: boolean}\n"
    "              load: {type: number}\n"
    "              since: {type: string, format: date-time}\n";

struct kind *gadget_kind(void)
{
    struct error *err = NULL;
    struct kind *k = kind_load(str_from(definition), "gadget.yaml", &err);

    if (k == NULL)
        fail_msg("%s", err->message);
    return k;
}

struct gadget gadget_parse(const char *json)
{
    struct error *err = NULL;
    struct gadget g = {.text = json_parse(str_from(json), &err)};

    if (g.text == NULL)
        fail_msg("%s", err->message);
    g.doc = yyjson_doc_mut_copy(g.text, NULL);
    g.object = yyjson_mut_doc_get_root(g.doc);
    return g;
}

void gadget_free(struct gadget *g)
{
    yyjson_doc_free(g->text);
    yyjson_mut_doc_free(g->doc);
}

const char *gadget_text(const struct gadget *g)
{
    static char *text;
    size_t n;

    free(text);
    text = json_mut_write(g->object, &n);
    return text;
}

void assert_json(const char *actual, const char *expected)
{
    _cleanup_json_ yyjson_doc *a = json_parse(str_from(actual), NULL), *b = json_parse(str_from(expected), NULL);

    if (a == NULL || b == NULL || !json_equal(yyjson_doc_get_root(a), yyjson_doc_get_root(b)))
        fail_msg("%s\nis not %s", actual, expected);
}
