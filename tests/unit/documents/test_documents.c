#include "unit/model/gadget.h"

#include "server/documents/discovery.h"
#include "server/documents/openapi.h"
#include "server/model/meta_schema.h"

#define V2 "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#define V2BETA1 "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

static struct kind *kind;
static struct discovery *discovery;
static struct openapi *openapi;

static int setup(void **state)
{
    kind = gadget_kind();
    discovery = discovery_new((const struct kind *const *)&kind, 1);
    openapi = openapi_new((const struct kind *const *)&kind, 1, "1.2.3");
    return 0;
}

static int teardown(void **state)
{
    discovery_free(discovery);
    openapi_free(openapi);
    kind_free(kind);
    return 0;
}

static void discover(const char *path, const char *accept, const char *type, const char *expected)
{
    const struct document *d = discovery_find(discovery, str_from(path), accept);

    assert_non_null(d);
    assert_string_equal(d->content_type, type);
    assert_true(d->etag[0] == '"' && strlen(d->etag) == 34);
    assert_json(d->body.p, expected);
}

#define GROUP_MEMBERS                                                                                                  \
    "\"name\":\"example.org\",\"versions\":[{\"groupVersion\":\"example.org/v1\",\"version\":\"v1\"}],"                \
    "\"preferredVersion\":{\"groupVersion\":\"example.org/v1\",\"version\":\"v1\"}"

static void test_legacy(void **state)
{
    const char *json = "application/json";

    discover("/api", NULL, json, "{\"kind\":\"APIVersions\",\"versions\":[],\"serverAddressByClientCIDRs\":[]}");
    discover("/apis", NULL, json, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{" GROUP_MEMBERS "}]}");
    discover("/apis/", "*/*", json,
             "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{" GROUP_MEMBERS "}]}");
    discover("/apis/example.org", V2, json, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," GROUP_MEMBERS "}");
    discover("/apis/example.org/v1", NULL, json,
             "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"example.org/v1\",\"resources\":["
             "{\"name\":\"gadgets\",\"singularName\":\"gadget\",\"namespaced\":false,\"kind\":\"Gadget\",\"verbs\":["
             "\"delete\",\"deletecollection\",\"get\",\"list\","
             "\"patch\",\"create\",\"update\",\"watch\"],\"shortNames\":[\"gd\"],\"categories\":[\"things\"]},"
             "{\"name\":\"gadgets/"
             "status\",\"singularName\":\"\",\"namespaced\":false,\"kind\":\"Gadget\",\"verbs\":[\"get\",\"patch\","
             "\"update\"]},"
             "{\"name\":\"gadgets/"
             "ticket\",\"singularName\":\"\",\"namespaced\":false,\"kind\":\"GadgetTicket\",\"verbs\":[\"create\"]},"
             "{\"name\":\"gadgets/"
             "log\",\"singularName\":\"\",\"namespaced\":false,\"kind\":\"Gadget\",\"verbs\":[\"get\",\"update\"]}]}");
    assert_null(discovery_find(discovery, STR("/apis/example.com"), NULL));
    assert_null(discovery_find(discovery, STR("/"), NULL));
    assert_null(discovery_find(discovery, STR(""), NULL));
}

static void test_aggregated(void **state)
{
    discover("/apis", V2 "," V2BETA1 ",application/json", V2,
             "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
             "v2\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":"
             "\"example.org\",\"creationTimestamp\":null},\"versions\":[{\"version\":\"v1\",\"resources\":[{"
             "\"resource\":\"gadgets\",\"responseKind\":"
             "{\"group\":\"example.org\",\"version\":\"v1\",\"kind\":\"Gadget\"},\"scope\":\"Cluster\","
             "\"singularResource\":\"gadget\",\"verbs\":"
             "[\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"create\",\"update\",\"watch\"],"
             "\"shortNames\":[\"gd\"],"
             "\"categories\":[\"things\"],"
             "\"subresources\":[{\"subresource\":\"status\",\"responseKind\":{\"group\":\"example.org\",\"version\":"
             "\"v1\",\"kind\":\"Gadget\"},"
             "\"verbs\":[\"get\",\"patch\",\"update\"]},{\"subresource\":\"ticket\",\"responseKind\":{\"group\":"
             "\"example.org\",\"version\":\"v1\","
             "\"kind\":\"GadgetTicket\"},\"verbs\":[\"create\"]},{\"subresource\":\"log\",\"responseKind\":{\"group\":"
             "\"example.org\",\"version\":\"v1\","
             "\"kind\":\"Gadget\"},\"verbs\":[\"get\",\"update\"]}]}],\"freshness\":\"Current\"}]}]}");
    discover("/api", "application/json; g=apidiscovery.k8s.io; v=v2beta1; as=APIGroupDiscoveryList", V2BETA1,
             "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
             "v2beta1\",\"metadata\":{},\"items\":[]}");
    const struct document *d =
        discovery_find(discovery, STR("/apis"), "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList");
    assert_string_equal(d->content_type, "application/json");
}

static yyjson_doc *v3(void)
{
    const struct document *d = openapi_find(openapi, STR("/openapi/v3/apis/example.org/v1"), "application/json");
    assert_non_null(d);
    return json_parse(d->body, NULL);
}

static yyjson_val *get(yyjson_val *root, const char *pointer)
{
    yyjson_val *v = yyjson_ptr_get(root, pointer);
    if (v == NULL)
        fail_msg("no %s", pointer);
    return v;
}

static void test_openapi_index(void **state)
{
    const struct document *d = openapi_find(openapi, STR("/openapi/v3"), NULL);
    _cleanup_json_ yyjson_doc *doc = json_parse(d->body, NULL);
    const char *url = yyjson_get_str(get(yyjson_doc_get_root(doc), "/paths/apis~1example.org~1v1/serverRelativeURL"));

    assert_true(starts_with(url, "/openapi/v3/apis/example.org/v1?hash="));
}

static bool has_parameter(yyjson_val *operation, const char *name)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(yyjson_obj_get(operation, "parameters"));
    yyjson_val *p;

    while ((p = yyjson_arr_iter_next(&iter)))
        if (streq(json_str_at(p, "name"), name) && streq(json_str_at(p, "in"), "query"))
            return true;
    return false;
}

static void test_openapi_paths(void **state)
{
    static const char *const writes[] = {"/paths/~1apis~1example.org~1v1~1gadgets/post",
                                         "/paths/~1apis~1example.org~1v1~1gadgets~1{name}/put",
                                         "/paths/~1apis~1example.org~1v1~1gadgets~1{name}/patch",
                                         "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1status/patch"};
    _cleanup_json_ yyjson_doc *doc = v3();
    yyjson_val *root = yyjson_doc_get_root(doc);

    for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
        yyjson_val *op = get(root, writes[i]);
        assert_true(has_parameter(op, "fieldValidation") && has_parameter(op, "dryRun") &&
                    has_parameter(op, "fieldManager"));
        assert_string_equal(json_str_at(op, "x-kubernetes-group-version-kind.kind"), "Gadget");
    }
    yyjson_val *list = get(root, "/paths/~1apis~1example.org~1v1~1gadgets/get");
    assert_string_equal(json_str_at(list, "x-kubernetes-action"), "list");
    assert_true(has_parameter(list, "watch") && has_parameter(list, "labelSelector"));
    assert_true(has_parameter(get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}/delete"), "dryRun"));
    get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1ticket/post");
    get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1log/get");
    get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1log/put");
    assert_null(yyjson_ptr_get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1inner"));
    assert_null(yyjson_ptr_get(root, "/paths/~1apis~1example.org~1v1~1gadgets~1{name}~1status/delete"));
}

static void check_references(yyjson_val *root, yyjson_val *v)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(v);
    yyjson_arr_iter items = yyjson_arr_iter_with(v);
    yyjson_val *k;

    while ((k = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(k);
        if (yyjson_equals_str(k, "$ref"))
            get(root, yyjson_get_str(value) + 1);
        assert_false(starts_with(yyjson_get_str(k), "x-open-hydra"));
        check_references(root, value);
    }
    while ((k = yyjson_arr_iter_next(&items)))
        check_references(root, k);
}

static void test_openapi_schemas(void **state)
{
    _cleanup_json_ yyjson_doc *doc = v3();
    yyjson_val *root = yyjson_doc_get_root(doc), *gadget = get(root, "/components/schemas/org.example.v1.Gadget");

    assert_string_equal(json_str_at(root, "info.version"), "1.2.3");
    assert_string_equal(yyjson_get_str(get(gadget, "/properties/metadata/allOf/0/$ref")),
                        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    assert_string_equal(yyjson_get_str(get(gadget, "/x-kubernetes-group-version-kind/0/group")), "example.org");
    assert_true(yyjson_is_true(get(gadget, "/properties/spec/properties/password/writeOnly")));
    assert_true(yyjson_is_true(get(gadget, "/properties/spec/properties/url/readOnly")));
    assert_string_equal(
        yyjson_get_str(get(root, "/components/schemas/org.example.v1.GadgetList/properties/items/items/$ref")),
        "#/components/schemas/org.example.v1.Gadget");
    check_references(root, root);
    assert_non_null(meta_object_node());
}

/* The first field of that number in a message, whose fields are all of lengths; none: a NULL slice. */
static struct str field(struct str message, unsigned number)
{
    const unsigned char *p = (const unsigned char *)message.p, *end = p + message.n;

    while (p < end) {
        uint64_t n[2] = {0};
        for (int i = 0; i < 2; i++) {
            int shift = 0;
            do
                n[i] |= (uint64_t)(*p & 0x7f) << shift;
            while (shift += 7, *p++ & 0x80);
        }
        assert_int_equal(n[0] & 7, 2);
        assert_true(n[1] <= (size_t)(end - p));
        if (n[0] >> 3 == number)
            return (struct str){(const char *)p, n[1]};
        p += n[1];
    }
    return (struct str){0};
}

/* Of a message of named ones (name = 1, value = 2), each of that number: the value of that name. */
static struct str named(struct str message, unsigned number, const char *name)
{
    struct str one;

    while ((one = field(message, number)).p) {
        if (str_is(field(one, 1), name))
            return field(one, 2);
        message.n -= (size_t)(one.p + one.n - message.p);
        message.p = one.p + one.n;
    }
    return (struct str){0};
}

enum { EXTENSION = 31, PROPERTIES = 25, TYPE = 22 };

static struct str property(struct str schema, const char *name)
{
    return named(field(schema, PROPERTIES), 1, name);
}

static void test_openapi_v2(void **state)
{
    const struct document *d =
        openapi_find(openapi, STR("/openapi/v2"), "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
    struct str all = {d->body.p, d->body.n}, definitions = field(all, 9), gadget, patch;

    assert_string_equal(d->content_type, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert_true(str_is(field(all, 1), "2.0"));
    assert_true(str_is(field(field(all, 2), 2), "1.2.3"));
    gadget = named(definitions, 1, "org.example.v1.Gadget");
    assert_true(str_is(field(named(gadget, EXTENSION, "x-kubernetes-group-version-kind"), 2),
                       "[{\"group\":\"example.org\",\"kind\":\"Gadget\",\"version\":\"v1\"}]"));
    assert_true(str_is(field(property(gadget, "metadata"), 1),
                       "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    assert_non_null(named(definitions, 1, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").p);
    assert_true(str_is(field(field(property(property(gadget, "spec"), "password"), TYPE), 1), "string"));
    /* Writes are found by PATCH's parameters. */
    patch = field(named(field(all, 8), 2, "/apis/example.org/v1/gadgets/{name}"), 8);
    assert_true(str_is(field(named(patch, 13, "x-kubernetes-group-version-kind"), 2),
                       "{\"group\":\"example.org\",\"kind\":\"Gadget\",\"version\":\"v1\"}"));
    assert_true(str_is(field(field(field(field(field(patch, 8), 1), 2), 3), 4), "dryRun"));
    d = openapi_find(openapi, STR("/openapi/v2"), "application/json");
    assert_json(d->body.p,
                "{\"swagger\":\"2.0\",\"info\":{\"title\":\"open-hydra\",\"version\":\"1.2.3\"},\"paths\":{}}");
    assert_null(openapi_find(openapi, STR("/openapi/v4"), NULL));
    assert_string_equal(
        openapi_find(openapi, STR("/openapi/v3"), "application/x-protobuf, application/json")->content_type,
        "application/json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy),          cmocka_unit_test(test_aggregated),
        cmocka_unit_test(test_openapi_index),   cmocka_unit_test(test_openapi_paths),
        cmocka_unit_test(test_openapi_schemas), cmocka_unit_test(test_openapi_v2),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
