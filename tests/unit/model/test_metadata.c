#include "unit/model/gadget.h"

#include "server/model/metadata.h"
#include "server/model/schema.h"

#define NOW INT64_C(1767323045000000) /* 2026-01-02T03:04:05Z */

static struct kind *kind;

static int setup(void **state)
{
    kind = gadget_kind();
    return 0;
}

static int teardown(void **state)
{
    kind_free(kind);
    return 0;
}

static void decodes(const char *json, const char *expected)
{
    struct gadget g = gadget_parse(json);
    _cleanup_error_ struct error *err = NULL;

    if (metadata_decode(kind, g.doc, g.object, &err) < 0)
        fail_msg("%s", err->message);
    assert_json(gadget_text(&g), expected);
    gadget_free(&g);
}

static void no_decode(const char *json, const char *why)
{
    struct gadget g = gadget_parse(json);
    _cleanup_error_ struct error *err = NULL;

    assert_int_equal(metadata_decode(kind, g.doc, g.object, &err), -1);
    assert_int_equal(err->reason, REASON_BAD_REQUEST);
    if (!strstr(err->message, why))
        fail_msg("«%s» does not say «%s»", err->message, why);
    gadget_free(&g);
}

static void test_decode(void **state)
{
    decodes("{}", "{\"apiVersion\":\"example.org/v1\",\"kind\":\"Gadget\",\"metadata\":{}}");
    decodes("{\"apiVersion\":\"example.org/"
            "v1\",\"kind\":\"Gadget\",\"metadata\":{\"name\":\"a\",\"creationTimestamp\":null,\"managedFields\":[{}],"
            "\"selfLink\":\"/\",\"labels\":null,\"annotations\":{\"a\":null,\"b\":\"c\"}}}",
            "{\"apiVersion\":\"example.org/"
            "v1\",\"kind\":\"Gadget\",\"metadata\":{\"name\":\"a\",\"annotations\":{\"b\":\"c\"}}}");
    no_decode("[]", "must be an object");
    no_decode("{\"apiVersion\":\"example.org/v2\"}", "the API version in the data (example.org/v2) does not match");
    no_decode("{\"kind\":\"Widget\"}", "the kind in the data (Widget) does not match the expected kind (Gadget)");
    no_decode("{\"kind\":3}", "kind must be a string");
    no_decode("{\"metadata\":[]}", "metadata in body must be of type object");
    no_decode("{\"metadata\":{\"name\":1}}", "metadata.name");
    no_decode("{\"metadata\":{\"labels\":{\"a\":1}}}", "metadata.labels.a");
    no_decode("{\"metadata\":{\"labels\":[]}}", "metadata.labels");
    no_decode("{\"metadata\":{\"finalizers\":[1]}}", "metadata.finalizers[0]");
    no_decode("{\"metadata\":{\"ownerReferences\":[\"a\"]}}", "metadata.ownerReferences[0]");
    no_decode("{\"metadata\":{\"resourceVersion\":5}}", "metadata.resourceVersion");
    no_decode("{\"metadata\":{\"creationTimestamp\":\"now\"}}", "metadata.creationTimestamp");
}

/* {"metadata": META}: the cause's field and what its message holds; NULL: right. */
static void check(const char *metadata, const char *field, const char *message)
{
    _cleanup_free_ char *text = xasprintf("{\"metadata\":%s}", metadata);
    struct gadget g = gadget_parse(text);
    _cleanup_error_ struct error *err = NULL;

    int rc = metadata_validate(kind, g.object, &err);
    gadget_free(&g);
    if (field == NULL) {
        if (rc < 0)
            fail_msg("%s", err->message);
        return;
    }
    assert_int_equal(rc, -1);
    assert_int_equal(err->causes_len, 1);
    assert_string_equal(err->causes[0].field, field);
    if (!strstr(err->causes[0].message, message))
        fail_msg("«%s» does not say «%s»", err->causes[0].message, message);
}

static void test_names(void **state)
{
    check("{\"name\":\"a-1\"}", NULL, NULL);
    check("{}", "metadata.name", "Required value: name or generateName is required");
    check("{\"name\":\"\"}", "metadata.name", "Required value");
    check("{\"name\":\"A\"}", "metadata.name", "Invalid value: \"A\": a lowercase RFC 1123 label");
    check("{\"name\":\"a.b\"}", "metadata.name", "RFC 1123 label");
    check("{\"name\":\"\\u0001\"}", "metadata.name", "Invalid value: \"\\u0001\"");
    kind->name_is_label = false;
    check("{\"name\":\"a.b\"}", NULL, NULL);
    check("{\"name\":\"a_b\"}", "metadata.name", "RFC 1123 subdomain");
    kind->name_is_label = true;
    check("{\"name\":\"a\",\"namespace\":\"default\"}", "metadata.namespace", "Forbidden");
}

static void test_labels(void **state)
{
    check("{\"name\":\"a\",\"labels\":{\"example.org/role\":\"x.Y_z-1\",\"b\":\"\"}}", NULL, NULL);
    check("{\"name\":\"a\",\"labels\":{\"-x\":\"\"}}", "metadata.labels",
          "Invalid value: \"-x\": name part must consist");
    check("{\"name\":\"a\",\"labels\":{\"\":\"\"}}", "metadata.labels", "name part must be non-empty");
    check("{\"name\":\"a\",\"labels\":{\"/x\":\"\"}}", "metadata.labels", "prefix part must be non-empty");
    check("{\"name\":\"a\",\"labels\":{\"A_/x\":\"\"}}", "metadata.labels", "prefix part");
    check("{\"name\":\"a\",\"labels\":{\"a/b/c\":\"\"}}", "metadata.labels", "name part");
    check("{\"name\":\"a\",\"labels\":{\"b\":\"x y\"}}", "metadata.labels",
          "Invalid value: \"x y\": a valid label must be");
    check("{\"name\":\"a\",\"labels\":{\"b\":\"0123456789012345678901234567890123456789012345678901234567890123\"}}",
          "metadata.labels", "no more than 63");
    check("{\"name\":\"a\",\"labels\":{\"b123456789012345678901234567890123456789012345678901234567890123\":\"\"}}",
          "metadata.labels", "no more than 63");
}

static void test_annotations(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);

    check("{\"name\":\"a\",\"annotations\":{\"Example.org/x\":\"any text \\u0000\"}}", NULL, NULL);
    check("{\"name\":\"a\",\"annotations\":{\"x y\":\"\"}}", "metadata.annotations", "name part");
    buffer_puts(&b, "{\"name\":\"a\",\"annotations\":{\"k\":\"");
    for (size_t i = 0; i < METADATA_MAX_ANNOTATIONS; i++)
        buffer_puts(&b, "x");
    buffer_puts(&b, "\"}}");
    check(b.p, "metadata.annotations", "Too long: may not be more than 262144 bytes");
}

static void test_finalizers_and_owners(void **state)
{
    check("{\"name\":\"a\",\"finalizers\":[\"example.org/x\",\"orphan\"]}", NULL, NULL);
    check("{\"name\":\"a\",\"finalizers\":[\"example.org/x\",\"mine\"]}", "metadata.finalizers[1]", "fully qualified");
    check("{\"name\":\"a\",\"finalizers\":[\"a b\"]}", "metadata.finalizers[0]", "name part");
    check("{\"name\":\"a\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"n\",\"uid\":\"u\"}]}",
          NULL, NULL);
    check("{\"name\":\"a\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"n\"}]}",
          "metadata.ownerReferences[0].uid", "Required value");
}

static void test_many_wrong_labels(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 22);
    _cleanup_error_ struct error *err = NULL;

    buffer_puts(&b, "{\"metadata\":{\"name\":\"a\",\"labels\":{\"-\":\"\"");
    for (int i = 0; i < 50000; i++)
        buffer_printf(&b, ",\"-%d\":\"\"", i);
    buffer_puts(&b, "}}}");
    struct gadget g = gadget_parse(b.p);
    assert_int_equal(metadata_validate(kind, g.object, &err), -1);
    assert_int_equal(err->causes_len, SCHEMA_MAX_REPORTS);
    gadget_free(&g);
}

static void check_many(const char *list, const char *item, unsigned n, const char *why)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);
    _cleanup_free_ char *field = xasprintf("metadata.%s", list);

    buffer_printf(&b, "{\"name\":\"a\",\"%s\":[%s", list, item);
    for (unsigned i = 1; i < n; i++)
        buffer_printf(&b, ",%s", item);
    buffer_puts(&b, "]}");
    check(b.p, why ? field : NULL, why);
}

static void test_lists_are_bounded(void **state)
{
    static const char owner[] = "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"n\",\"uid\":\"u\"}";

    check_many("finalizers", "\"a/b\"", 64, NULL);
    check_many("finalizers", "\"a/b\"", 65, "Too many: 65");
    check_many("ownerReferences", owner, 64, NULL);
    check_many("ownerReferences", owner, 65, "Too many: 65");
}

static void test_generate_name(void **state)
{
    struct gadget g = gadget_parse("{\"metadata\":{\"generateName\":\"abc-\"}}");

    metadata_generate_name(g.doc, g.object);
    assert_int_equal(strlen(metadata_name(g.object)), 9);
    assert_memory_equal(metadata_name(g.object), "abc-", 4);
    assert_int_equal(metadata_validate(kind, g.object, NULL), 0);
    gadget_free(&g);

    g = gadget_parse(
        "{\"metadata\":{\"generateName\":\"a123456789a123456789a123456789a123456789a123456789a123456789a123456789\"}}");
    metadata_generate_name(g.doc, g.object);
    assert_int_equal(strlen(metadata_name(g.object)), 63);
    gadget_free(&g);

    g = gadget_parse("{\"metadata\":{\"generateName\":\"abc-\",\"name\":\"x\"}}");
    metadata_generate_name(g.doc, g.object);
    assert_string_equal(metadata_name(g.object), "x");
    gadget_free(&g);

    g = gadget_parse("{\"metadata\":{}}");
    metadata_generate_name(g.doc, g.object);
    assert_null(metadata_name(g.object));
    gadget_free(&g);
}

static void test_revision(void **state)
{
    static const struct {
        const char *json;
        int rc;
        uint64_t revision;
    } cases[] = {{"{\"metadata\":{}}", 0, 0},
                 {"{\"metadata\":{\"resourceVersion\":\"\"}}", 0, 0},
                 {"{\"metadata\":{\"resourceVersion\":\"0\"}}", 0, 0},
                 {"{\"metadata\":{\"resourceVersion\":\"18446744073709551615\"}}", 0, UINT64_MAX},
                 {"{\"metadata\":{\"resourceVersion\":\"18446744073709551616\"}}", -1, 0},
                 {"{\"metadata\":{\"resourceVersion\":\"x\"}}", -1, 0},
                 {"{\"metadata\":{\"resourceVersion\":\"-1\"}}", -1, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gadget g = gadget_parse(cases[i].json);
        uint64_t revision;
        assert_int_equal(metadata_sent_revision(g.object, &revision, NULL), cases[i].rc);
        assert_true(revision == cases[i].revision);
        gadget_free(&g);
    }
    struct gadget g = gadget_parse("{\"metadata\":{\"resourceVersion\":\"1\"}}");
    metadata_set_revision(g.doc, g.object, 42);
    assert_json(gadget_text(&g), "{\"metadata\":{\"resourceVersion\":\"42\"}}");
    gadget_free(&g);
}

static void test_stamp_create(void **state)
{
    struct gadget g = gadget_parse(
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"mine\",\"generation\":7,\"resourceVersion\":\"9\","
        "\"deletionTimestamp\":"
        "\"2020-01-01T00:00:00Z\",\"deletionGracePeriodSeconds\":0,\"creationTimestamp\":\"2020-01-01T00:00:00Z\"}}");

    metadata_stamp_create(g.doc, g.object, NOW);
    assert_int_equal(strlen(json_mut_str_at(g.object, "metadata.uid")), 36);
    assert_string_equal(json_mut_str_at(g.object, "metadata.creationTimestamp"), "2026-01-02T03:04:05Z");
    assert_int_equal(yyjson_mut_get_int(json_mut_at(g.object, "metadata.generation")), 1);
    assert_false(metadata_is_deleting(g.object));
    assert_null(json_mut_at(g.object, "metadata.resourceVersion"));
    gadget_free(&g);
}

#define OLD                                                                                                            \
    "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"generation\":3,\"creationTimestamp\":\"t\",\"resourceVersion\":"    \
    "\"5\",\"deletionTimestamp\":\"d\"},"                                                                              \
    "\"spec\":{\"role\":1,\"size\":2,\"url\":\"x\"},\"status\":{\"ready\":true}}"

static void update(const char *sent, const char *expected)
{
    struct gadget old = gadget_parse(OLD), g = gadget_parse(sent);

    metadata_stamp_update(kind, g.doc, g.object, yyjson_doc_get_root(old.text));
    assert_json(gadget_text(&g), expected);
    gadget_free(&old);
    gadget_free(&g);
}

static void test_stamp_update(void **state)
{
    /* the same but for order, labels, status and an output-only field: no new generation */
    update("{\"metadata\":{\"name\":\"b\",\"uid\":\"v\",\"generation\":9,\"labels\":{\"a\":\"b\"}},\"spec\":{\"size\":"
           "2,\"role\":1,\"url\":\"y\"},\"status\":{}}",
           "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"generation\":3,\"creationTimestamp\":\"t\","
           "\"deletionTimestamp\":\"d\",\"labels\":{\"a\":\"b\"}},"
           "\"spec\":{\"size\":2,\"role\":1,\"url\":\"y\"},\"status\":{}}");
    update("{\"metadata\":{\"generateName\":\"x\"},\"spec\":{\"role\":1}}",
           "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"generation\":4,\"creationTimestamp\":\"t\","
           "\"deletionTimestamp\":\"d\"},\"spec\":{\"role\":1}}");
}

static void test_stamp_status(void **state)
{
    struct gadget old = gadget_parse(OLD),
                  g = gadget_parse(
                      "{\"metadata\":{\"labels\":{\"x\":\"y\"}},\"spec\":{\"role\":2},\"status\":{\"ready\":false}}");

    metadata_stamp_status(g.doc, g.object, yyjson_doc_get_root(old.text));
    assert_json(
        gadget_text(&g),
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"generation\":3,\"creationTimestamp\":\"t\",\"resourceVersion\":"
        "\"5\","
        "\"deletionTimestamp\":\"d\"},\"spec\":{\"role\":1,\"size\":2,\"url\":\"x\"},\"status\":{\"ready\":false}}");
    json_mut_remove(g.object, "status");
    metadata_stamp_status(g.doc, g.object, yyjson_doc_get_root(old.text));
    assert_null(json_mut_at(g.object, "status"));
    gadget_free(&old);
    gadget_free(&g);
}

static void test_stamp_deletion(void **state)
{
    struct gadget g = gadget_parse("{\"metadata\":{\"generation\":1,\"finalizers\":[\"a/b\"]}}");

    assert_true(metadata_has_finalizers(g.object));
    metadata_stamp_deletion(g.doc, g.object, NOW);
    metadata_stamp_deletion(g.doc, g.object, NOW + 1000000000);
    assert_true(metadata_is_deleting(g.object));
    assert_json(
        gadget_text(&g),
        "{\"metadata\":{\"generation\":2,\"finalizers\":[\"a/b\"],\"deletionTimestamp\":\"2026-01-02T03:04:05Z\","
        "\"deletionGracePeriodSeconds\":0}}");
    gadget_free(&g);
}

static enum reason update_refused(const char *old_text, const char *sent, const char *why)
{
    struct gadget old = gadget_parse(old_text), g = gadget_parse(sent);
    _cleanup_error_ struct error *err = NULL;

    int rc = metadata_validate_update(kind, yyjson_doc_get_root(old.text), g.object, &err);
    gadget_free(&old);
    gadget_free(&g);
    if (why == NULL) {
        assert_int_equal(rc, 0);
        return 0;
    }
    assert_int_equal(rc, -1);
    if (!strstr(err->message, why))
        fail_msg("«%s» does not say «%s»", err->message, why);
    return err->reason;
}

static void test_validate_update(void **state)
{
    const char *alive = "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}}";
    const char *dying =
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"deletionTimestamp\":\"d\",\"finalizers\":[\"a/b\"]}}";

    update_refused(alive, "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"finalizers\":[\"a/b\"]}}", NULL);
    update_refused(dying, "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"a/b\"]}}", NULL);
    update_refused(dying, "{\"metadata\":{\"name\":\"a\"}}", NULL);
    assert_int_equal(update_refused(alive, "{\"metadata\":{\"name\":\"a\",\"uid\":\"v\"}}", "UID in precondition: v"),
                     REASON_CONFLICT);
    assert_int_equal(
        update_refused(dying, "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"a/b\",\"a/c\"]}}", "[]string{\"a/c\"}"),
        REASON_INVALID);
    assert_int_equal(update_refused("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"deletionTimestamp\":\"d\"}}",
                                    "{\"metadata\":{\"name\":\"a\",\"finalizers\":[\"a/b\"]}}", "no new finalizers"),
                     REASON_INVALID);
    assert_int_equal(update_refused(alive, "{\"metadata\":{\"name\":\"A\"}}", "RFC 1123"), REASON_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_finalizers_and_owners),
        cmocka_unit_test(test_many_wrong_labels),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_generate_name),
        cmocka_unit_test(test_revision),
        cmocka_unit_test(test_stamp_create),
        cmocka_unit_test(test_stamp_update),
        cmocka_unit_test(test_stamp_status),
        cmocka_unit_test(test_stamp_deletion),
        cmocka_unit_test(test_validate_update),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
