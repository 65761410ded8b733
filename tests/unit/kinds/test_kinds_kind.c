#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "kinds/kind.h"
#include "kinds/schema_node.h"

/* A definition that loads, with one line of it replaced by another. */
static const char good[] =
    "apiVersion: apiextensions.k8s.io/v1\n"
    "kind: CustomResourceDefinition\n"
    "metadata: {name: gadgets.example.org}\n"
    "spec:\n"
    "  group: example.org\n"
    "  scope: Cluster\n"
    "  x-open-hydra-owner: spec.owner\n"
    "  x-open-hydra-name: label\n"
    "  x-open-hydra-log: {maxEvents: 100, maxAgeSeconds: 60}\n"
    "  x-open-hydra-subresources:\n"
    "  - {name: ticket, kind: GadgetTicket, verbs: [create], private: true, maxBytes: 1000, streams: true, forms: true,\n"
    "     resumes: true, creates: true}\n"
    "  - {name: log, verbs: [get, update]}\n"
    "  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gd], categories: [all]}\n"
    "  versions:\n"
    "  - name: v1\n"
    "    subresources: {status: {}}\n"
    "    selectableFields: [{jsonPath: .spec.size}]\n"
    "    additionalPrinterColumns:\n"
    "    - {name: Size, type: integer, jsonPath: .spec.size, priority: 1}\n"
    "    schema:\n"
    "      openAPIV3Schema:\n"
    "        type: object\n"
    "        required: [spec]\n"
    "        properties:\n"
    "          spec:\n"
    "            type: object\n"
    "            properties:\n"
    "              owner: {type: string, x-open-hydra-immutable: true}\n"
    "              size: {type: integer}\n"
    "              secret: {type: string, x-open-hydra-write-only: true}\n"
    "              url: {type: string, x-open-hydra-output-only: true}\n"
    "              list: {type: array, items: {type: string}}\n";

static char *with(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    assert_non_null(at);
    return xasprintf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static void refused(const char *from, const char *to, const char *why)
{
    _cleanup_free_ char *text = with(from, to);
    struct error *err = NULL;

    struct kind *k = kind_load(str_from(text), "gadget.yaml", &err);
    assert_null(k);
    assert_non_null(err);
    if (!strstr(err->message, why) || strncmp(err->message, "gadget.yaml: ", 13))
        fail_msg("«%s» does not say «%s»", err->message, why);
    error_free(err);
}

static void test_reads_everything(void **state)
{
    struct error *err = NULL;
    struct kind *k = kind_load(str_from(good), "gadget.yaml", &err);

    assert_non_null(k);
    assert_string_equal(k->group, "example.org");
    assert_string_equal(k->api_version, "example.org/v1");
    assert_string_equal(k->plural, "gadgets");
    assert_string_equal(k->list_kind, "GadgetList");
    assert_string_equal(k->short_names[0], "gd");
    assert_null(k->short_names[1]);
    assert_string_equal(k->categories[0], "all");
    assert_string_equal(k->owner, "spec.owner");
    assert_true(k->has_status);
    assert_true(k->name_is_label);
    assert_int_equal(k->columns_len, 1);
    assert_string_equal(k->columns[0].json_path, ".spec.size");
    assert_int_equal(k->columns[0].priority, 1);
    assert_string_equal(k->write_only[0], "spec.secret");
    assert_null(k->write_only[1]);
    assert_string_equal(k->output_only[0], "spec.url");
    assert_string_equal(k->immutable[0], "spec.owner");
    assert_int_equal(k->root->type, SCHEMA_OBJECT);
    assert_string_equal(k->selectable[0], "spec.size");
    assert_null(k->selectable[1]);
    assert_int_equal(k->log.max_events, 100);
    assert_int_equal(k->log.max_age_seconds, 60);
    assert_int_equal(k->subresources_len, 2);
    const struct kind_subresource *s = kind_subresource(k, "ticket");
    assert_string_equal(s->kind, "GadgetTicket");
    assert_true(s->private);
    assert_int_equal(s->max_bytes, 1000);
    assert_true(s->streams);
    assert_true(s->forms);
    assert_true(s->resumes);
    assert_true(s->creates);
    assert_true(kind_subresource_has(s, "create"));
    assert_false(kind_subresource_has(s, "get"));
    s = kind_subresource(k, "log");
    assert_null(s->kind);
    assert_false(s->streams);
    assert_false(s->forms);
    assert_false(s->resumes);
    assert_false(s->creates);
    assert_false(s->private);
    assert_int_equal(s->max_bytes, KIND_SUBRESOURCE_MAX_BYTES);
    assert_string_equal(s->verbs[1], "update");
    assert_null(s->verbs[2]);
    assert_null(kind_subresource(k, "status"));
    kind_free(k);
    kind_free(NULL);
}

static void test_optional_parts(void **state)
{
    _cleanup_free_ char *text = with("  x-open-hydra-owner: spec.owner\n  x-open-hydra-name: label\n", "");
    struct error *err = NULL;
    struct kind *k = kind_load(str_from(text), "gadget.yaml", &err);

    assert_non_null(k);
    assert_null(k->owner);
    assert_false(k->name_is_label);
    kind_free(k);
}

static size_t max_bytes(const char *line, size_t *owner)
{
    _cleanup_free_ char *replaced = xasprintf("  x-open-hydra-name: label\n%s", line);
    _cleanup_free_ char *text = with("  x-open-hydra-name: label\n", replaced);
    struct error *err = NULL;
    struct kind *k = kind_load(str_from(text), "gadget.yaml", &err);

    if (k == NULL)
        fail_msg("%s", err->message);
    size_t max = k->max_bytes;
    *owner = k->owner_max_bytes;
    kind_free(k);
    return max;
}

static void test_sizes(void **state)
{
    size_t owner;

    assert_int_equal(max_bytes("", &owner), KIND_MAX_BYTES);
    assert_int_equal(owner, KIND_MAX_BYTES);
    assert_int_equal(max_bytes("  x-open-hydra-max-bytes: 1000\n", &owner), 1000);
    assert_int_equal(owner, 1000);
    assert_int_equal(max_bytes("  x-open-hydra-max-bytes: 1000\n  x-open-hydra-owner-max-bytes: 10\n", &owner), 1000);
    assert_int_equal(owner, 10);
    assert_int_equal(max_bytes("  x-open-hydra-owner-max-bytes: 10\n", &owner), KIND_MAX_BYTES);
    assert_int_equal(owner, 10);
    refused("name: label\n", "name: label\n  x-open-hydra-max-bytes: 3145729\n", "up to 3145728");
    refused("name: label\n", "name: label\n  x-open-hydra-max-bytes: 0\n", "up to 3145728");
    refused("name: label\n", "name: label\n  x-open-hydra-max-bytes: 10k\n", "up to 3145728");
    refused("name: label\n", "name: label\n  x-open-hydra-max-bytes: 9\n  x-open-hydra-owner-max-bytes: 10\n",
            "up to 9");
    refused("{type: integer}", "{type: integer, x-open-hydra-max-bytes: much}", "x-open-hydra-max-bytes is a number");
}

static void test_refusals(void **state)
{
    refused("CustomResourceDefinition", "ConfigMap", "not a CustomResourceDefinition");
    refused("apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1", "not a CustomResourceDefinition");
    refused("scope: Cluster", "scope: Namespaced", "Cluster");
    refused("x-open-hydra-name: label", "x-open-hydra-name: word", "label");
    refused("  - name: v1\n", "  - name: v0\n  - name: v1\n", "exactly one version");
    refused("  - name: v1\n", "  - name: V1\n", "DNS label");
    refused("group: example.org", "group: Example", "spec.group");
    refused("plural: gadgets, ", "", "plural");
    refused("kind: Gadget, ", "", "kind");
    refused("[gd]", "gd", "list of strings");
    refused("[gd]", "[1]", "list of strings");
    refused(".spec.size, ", "spec.size, ", "jsonPath");
    refused("type: integer, jsonPath", "type: object, jsonPath", "a name and a type");
    refused("required: [spec]", "required: [spce]", "not among the properties");
    refused("items: {type: string}", "items: {type: string, x-open-hydra-write-only: true}", "inside a list or map");
    refused("{type: array, items: {type: string}}",
            "{type: object, additionalProperties: {type: string, x-open-hydra-write-only: true}}",
            "inside a list or map");
    refused("{type: array, items: {type: string}}",
            "{type: array, items: {type: object, properties: {a: {type: string, x-open-hydra-immutable: true}}}}",
            "inside a list or map");
    refused("{type: array, items: {type: string}}",
            "{type: object, additionalProperties: {type: object, properties: {a: {type: string, "
            "x-open-hydra-output-only: true}}}}",
            "inside a list or map");
    refused("{type: integer}", "{type: integer, x-open-hydra-write-only: true}", "is a string");
    refused("      openAPIV3Schema:\n        type: object", "      openAPIV3Schema:\n        type: string",
            "only objects");
    refused("- name: v1", "- name: [", "");
    refused("{name: log, verbs: [get, update]}", "{name: log, verbs: [watch]}",
            "verbs are get, create, update, patch and delete");
    refused("{name: log, verbs: [get, update]}", "{name: log, verbs: []}", "has no verbs");
    refused("{name: log, verbs: [get, update]}", "{name: log}", "has no verbs");
    refused("{name: log, verbs: [get, update]}", "{name: ticket, verbs: [get]}", "is there twice");
    refused("{name: log, verbs: [get, update]}", "{name: status, verbs: [get]}", "not status");
    refused("{name: log, verbs: [get, update]}", "{verbs: [get]}", "a name is a DNS label");
    refused("maxBytes: 1000", "maxBytes: 0", "maxBytes is a number");
    refused("[{jsonPath: .spec.size}]", "[{jsonPath: .spec.sise}]", "selectableFields: .spec.sise");
    refused("[{jsonPath: .spec.size}]", "[{jsonPath: spec.size}]", "selectableFields");
    refused("[{jsonPath: .spec.size}]", "[{jsonPath: .spec.list}]", "selectableFields: .spec.list");
    refused("[{jsonPath: .spec.size}]", "[{jsonPath: .spec.secret}]", "selectableFields: .spec.secret");
    refused("{maxEvents: 100, maxAgeSeconds: 60}", "{}", "x-open-hydra-log");
    refused("{maxEvents: 100, maxAgeSeconds: 60}", "{maxEvents: -1}", "x-open-hydra-log");
}

#define MARKS 256 /* of kind.c, of each mark */

/* With `owner` there are so many immutable fields. */
static char *with_marks(unsigned n)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    for (unsigned i = 1; i < n; i++)
        buffer_printf(&b, "              f%u: {type: string, x-open-hydra-immutable: true}\n", i);
    buffer_puts(&b, "              size: {type: integer}\n");
    return buffer_steal(&b);
}

static void test_marks_are_counted(void **state)
{
    static const char line[] = "              size: {type: integer}\n";
    _cleanup_free_ char *most = with_marks(MARKS), *more = with_marks(MARKS + 1), *text = with(line, most);
    struct kind *k = kind_load(str_from(text), "gadget.yaml", NULL);

    assert_non_null(k);
    assert_string_equal(k->immutable[MARKS - 1], "spec.f255");
    assert_null(k->immutable[MARKS]);
    kind_free(k);
    refused(line, more, "spec.f256: cannot be marked");
    refused("{type: integer}", "{type: integer}\n              'a.b': {type: string, x-open-hydra-immutable: true}",
            "spec.a.b: cannot be marked");
}

static void test_shipped_kinds_load(void **state)
{
    assert_true(kind_sources_len >= 3);
    for (size_t i = 0; i < kind_sources_len; i++) {
        struct error *err = NULL;
        struct kind *k = kind_load(kind_sources[i].yaml, kind_sources[i].name, &err);
        if (k == NULL)
            fail_msg("%s", err->message);
        /* A student's object is small, and none is so large that parsing it would hold anybody up. */
        assert_true(k->max_bytes <= 262144);
        assert_true(k->owner == NULL || k->owner_max_bytes <= 32768);
        kind_free(k);
    }
}

static struct kind *shipped(const char *name)
{
    for (size_t i = 0; i < kind_sources_len; i++)
        if (streq(kind_sources[i].name, name))
            return kind_load(kind_sources[i].yaml, name, NULL);
    return NULL;
}

static void test_core_group_and_namespace(void **state)
{
    struct kind *map = shipped("configmap"), *host = shipped("host");

    assert_string_equal(map->group, "");
    assert_string_equal(map->api_version, "v1");
    assert_string_equal(map->path, "/api/v1");
    assert_string_equal(map->namespace, "gpu-operator");
    assert_string_equal(map->full_name, "configmaps");
    assert_string_equal(map->full_kind, "ConfigMap");
    assert_string_equal(host->path, "/apis/open-hydra-server.openhydra.io/v1");
    assert_null(host->namespace);
    assert_string_equal(host->full_name, "hosts.open-hydra-server.openhydra.io");
    assert_string_equal(host->full_kind, "Host.open-hydra-server.openhydra.io");
    kind_free(map);
    kind_free(host);
    refused("scope: Cluster", "scope: Cluster\n  x-open-hydra-namespace: one", "Namespaced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_optional_parts),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_marks_are_counted),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shipped_kinds_load),
        cmocka_unit_test(test_core_group_and_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
