/* Who may what: the three verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/api/client.h"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){0};
    fixture_start(&f);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a1", "{\"owner\":\"anna\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS,
                     .body = WIDGET("b1", "{\"owner\":\"bert\",\"colour\":\"anna\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("n1", "{}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("carl", "{\"owner\":\"bert\"}")));
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

#define ANNA .user = "anna", .role = 2

static void nobody(void **state)
{
    struct answer *a = expect(401, CALL(&f, .path = WIDGETS, .role = -1));

    assert_string_equal(answer_str(a, "reason"), "Unauthorized");
    assert_string_equal(answer_str(a, "message"), "Unauthorized");
    assert_true(answer_has_header(a, "WWW-Authenticate: Bearer"));
    expect(401, CALL(&f, .path = WIDGETS "/a1", .role = -1));
    expect(401, CALL(&f, .path = WIDGETS "/a1/nothing", .role = -1));
    expect(401, CALL(&f, .path = "/apis", .role = -1));
    expect(401, CALL(&f, .path = "/apis/no/where", .role = -1));
    expect(401, CALL(&f, .method = "POST", .path = WIDGETS, .body = "not even JSON", .role = -1));
}

static void denied(void **state)
{
    struct answer *a = expect(403, CALL(&f, .path = WIDGETS "/a1", .user = "x", .role = 3));

    assert_string_equal(answer_str(a, "reason"), "Forbidden");
    assert_string_equal(
        answer_str(a, "message"),
        "widgets.test.example.io \"a1\" is forbidden: User \"x\" cannot get resource \"widgets\" in API group "
        "\"test.example.io\" at the cluster scope");
    a = expect(403, CALL(&f, .path = WIDGETS, .user = "x", .role = 3));
    assert_string_equal(answer_str(a, "message"),
                        "widgets.test.example.io is forbidden: User \"x\" cannot list resource "
                        "\"widgets\" in API group \"test.example.io\" at the cluster scope");
    a = expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/a1/status", .body = "{}", .user = "x", .role = 3));
    assert_true(strstr(answer_str(a, "message"), "cannot update resource \"widgets/status\"") != NULL);
    a = expect(403, CALL(&f, .path = "/metrics", .user = "x", .role = 3));
    assert_string_equal(answer_str(a, "message"), "forbidden: User \"x\" cannot get path \"/metrics\"");
}

static void own_reads(void **state)
{
    struct answer *a;

    expect(200, CALL(&f, .path = WIDGETS "/a1", ANNA));
    expect(403, CALL(&f, .path = WIDGETS "/b1", ANNA));
    expect(403, CALL(&f, .path = WIDGETS "/z1", ANNA));
    expect(404, CALL(&f, .path = WIDGETS "/anna", ANNA));
    expect(403, CALL(&f, .path = WIDGETS "/carl", .user = "carl", .role = 2));
    a = expect(200, CALL(&f, .path = WIDGETS, ANNA));
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "items")), 1);
    assert_true(answer_has(a, "\"a1\""));
    a = expect(200, CALL(&f, .path = WIDGETS "?limit=1", ANNA));
    assert_int_equal(answer_int(a, "metadata.remainingItemCount"), -1);
    assert_string_equal(answer_str(a, "metadata.continue"), "(absent)");
    a = expect(200, CALL(&f, .path = WIDGETS "?fieldSelector=metadata.name%3Db1", ANNA));
    assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(a->doc), "items")), 0);
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS "/b1/ticket", ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS "/z1/ticket", ANNA));
    expect(404, CALL(&f, .method = "POST", .path = WIDGETS "/anna/ticket", ANNA));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS "/a1/ticket", ANNA));
}

/* The answer's body, with the name in it made anonymous. */
static char *refusal(const char *method, const char *name, const char *path, const char *body)
{
    const char *type = streq(method, "PATCH") ? "application/merge-patch+json" : NULL;
    struct answer *a = expect(403, CALL(&f, .method = method, .path = path, .body = body, .type = type, ANNA));
    char *text = strdup(a->body.p);

    for (char *p = text; (p = strstr(p, name)); p += strlen(name))
        memset(p, '*', strlen(name));
    return text;
}

/* Names cannot be found out: nothing tells what is there, and somebody else's, from what is not. */
static void names_of_others_are_no_business(void **state)
{
    static const struct {
        const char *method, *there, *away, *body;
    } ways[] = {
        {"GET", "/b1", "/z1", NULL},
        {"GET", "/b1/status", "/z1/status", NULL},
        {"DELETE", "/b1", "/z1", NULL},
        {"DELETE", "/b1?dryRun=All", "/z1?dryRun=All", NULL},
        {"PUT", "/b1", "/z1", "{\"spec\":{\"owner\":\"anna\"}}"},
        {"PUT", "/b1/status", "/z1/status", "{\"status\":{}}"},
        {"PATCH", "/b1", "/z1", "{}"},
        {"PATCH", "/b1?dryRun=All", "/z1?dryRun=All", "{}"},
        {"PATCH", "/b1/status", "/z1/status", "{}"},
        {"POST", "/b1/ticket", "/z1/ticket", NULL},
    };

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        char there[128], away[128];
        snprintf(there, sizeof(there), WIDGETS "%s", ways[i].there);
        snprintf(away, sizeof(away), WIDGETS "%s", ways[i].away);
        char *a = refusal(ways[i].method, "b1", there, ways[i].body);
        char *b = refusal(ways[i].method, "z1", away, ways[i].body);
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    char *a = refusal("POST", "b1", WIDGETS "?dryRun=All", WIDGET("b1", "{\"owner\":\"anna\"}"));
    char *b = refusal("POST", "z1", WIDGETS "?dryRun=All", WIDGET("z1", "{\"owner\":\"anna\"}"));
    assert_string_equal(a, b);
    free(a);
    free(b);
    expect(404, CALL(&f, .path = WIDGETS "/z1"));
}

static void own_writes(void **state)
{
    const char *merge = "application/merge-patch+json";

    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("anna", "{\"owner\":\"anna\"}"), ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a3", "{\"owner\":\"anna\"}"), ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("anna", "{\"owner\":\"bert\"}"), ANNA));
    expect(403, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("anna", "{}"), ANNA));
    expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a1",
                     .body = WIDGET("a1", "{\"owner\":\"anna\",\"size\":3}"), ANNA));
    expect(200,
           CALL(&f, .method = "PATCH", .path = WIDGETS "/a1", .body = "{\"spec\":{\"size\":4}}", .type = merge, ANNA));
    /* Not given away either. */
    expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/a1", .body = WIDGET("a1", "{\"owner\":\"bert\"}"), ANNA));
    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/a1", .body = "{\"spec\":{\"owner\":null}}", .type = merge,
                     ANNA));
    expect(403, CALL(&f, .method = "PUT", .path = WIDGETS "/b1", .body = WIDGET("b1", "{\"owner\":\"anna\"}"), ANNA));
    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/b1", .body = "{\"spec\":{\"owner\":\"anna\"}}",
                     .type = merge, ANNA));
    expect(403, CALL(&f, .method = "DELETE", .path = WIDGETS "/b1", ANNA));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a1", ANNA));
    /* Of a collection: one's own. */
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS, ANNA));
    expect(404, CALL(&f, .path = WIDGETS "/anna"));
    expect(404, CALL(&f, .method = "DELETE", .path = WIDGETS "/anna", ANNA));
    expect(200, CALL(&f, .path = WIDGETS "/b1"));
    expect(200, CALL(&f, .path = WIDGETS "/n1"));
}

/* Metadata `metadata` of a new widget of Anna's, beside the name. */
static struct answer *create_with(unsigned code, const char *metadata)
{
    char body[24 * 1024];

    snprintf(body, sizeof(body), "{\"metadata\":{%s},\"spec\":{\"owner\":\"anna\"}}", metadata);
    return expect(code, CALL(&f, .method = "POST", .path = WIDGETS, .body = body, ANNA));
}
#define NAMED "\"name\":\"anna\","

static void own_metadata(void **state)
{
    static const char *const refused[] = {
        "\"generateName\":\"anna-\"",
        "\"generateName\":\"an\",\"name\":\"anna\"",
        NAMED "\"finalizers\":[\"a.example/b\"]",
        NAMED "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"n\",\"uid\":\"u\"}]",
        NAMED "\"labels\":{\"kubernetes.io/a\":\"b\"}",
        NAMED "\"labels\":{\"app.kubernetes.io/a\":\"b\"}",
        NAMED "\"labels\":{\"k8s.io/a\":\"b\"}",
        NAMED "\"labels\":{\"test.example.io/a\":\"b\"}",
        NAMED "\"annotations\":{\"Kubernetes.IO/a\":\"b\"}",
        NAMED "\"annotations\":{\"other.example.io/a\":\"b\"}",
        NAMED "\"annotations\":{\"a\":\"\\u001b[31m\"}",
        NAMED "\"annotations\":{\"a\":\"\\u009b31m\"}",
        NAMED "\"annotations\":{\"a\":\"\\u202e\"}",
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        assert_string_equal(answer_str(create_with(403, refused[i]), "reason"), "Forbidden");
    create_with(201, NAMED
                "\"finalizers\":[],\"managedFields\":[{\"manager\":\"x\"}],"
                "\"labels\":{\"mykubernetes.io/a\":\"b\",\"example.io.net/a\":\"b\"},"
                "\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\\n\",\"a\":\"b\\tc\"}");
    struct answer *a = expect(200, CALL(&f, .path = WIDGETS "/anna", ANNA));
    assert_string_equal(answer_str(a, "metadata.managedFields"), "(absent)");
}

/* `n` labels and `m` annotations, the last of which makes keys and values `bytes` long together (0: as they come). */
static void pairs(char *out, size_t size, unsigned n, unsigned m, size_t bytes)
{
    size_t used = 0, at = (size_t)snprintf(out, size, NAMED "\"labels\":{");

    for (unsigned i = 0; i < n; i++, used += 4)
        at += (size_t)snprintf(out + at, size - at, "%s\"l%02u\":\"v\"", i ? "," : "", i);
    at += (size_t)snprintf(out + at, size - at, "},\"annotations\":{");
    for (unsigned i = 0; i < m; i++, used += 3) {
        int fill = bytes && i + 1 == m ? (int)(bytes - used - 3) : 0;
        at += (size_t)snprintf(out + at, size - at, "%s\"a%02u\":\"%0*d\"", i ? "," : "", i, fill, 0);
        used += fill == 0; /* the digit itself */
    }
    snprintf(out + at, size - at, "}");
}

static void own_metadata_has_bounds(void **state)
{
    static const struct {
        unsigned code, labels, annotations;
        size_t bytes;
    } tried[] = {{201, 32, 32, 0}, {403, 33, 0, 0}, {403, 0, 33, 0}, {201, 2, 2, 16384}, {403, 2, 2, 16385}};
    char metadata[20 * 1024];

    for (size_t i = 0; i < sizeof(tried) / sizeof(*tried); i++) {
        pairs(metadata, sizeof(metadata), tried[i].labels, tried[i].annotations, tried[i].bytes);
        create_with(tried[i].code, metadata);
        if (tried[i].code == 201)
            expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/anna", ANNA));
    }
}

static struct answer *patch_own(unsigned code, const char *patch)
{
    return expect(code, CALL(&f, .method = "PATCH", .path = WIDGETS "/anna", .body = patch,
                             .type = "application/merge-patch+json", ANNA));
}

/* By PUT and PATCH as by POST; what an administrator set stays. */
static void own_metadata_changed(void **state)
{
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS,
                     .body = "{\"metadata\":{\"name\":\"anna\",\"finalizers\":[\"a.example/b\"],"
                             "\"labels\":{\"k8s.io/a\":\"b\"}},\"spec\":{\"owner\":\"anna\"}}"));
    patch_own(200, "{\"metadata\":{\"labels\":{\"mine\":\"1\"}}}");
    patch_own(403, "{\"metadata\":{\"finalizers\":null}}");
    patch_own(403, "{\"metadata\":{\"finalizers\":[\"a.example/b\",\"a.example/c\"]}}");
    patch_own(403, "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"n\","
                   "\"uid\":\"u\"}]}}");
    patch_own(403, "{\"metadata\":{\"labels\":{\"k8s.io/a\":\"c\"}}}");
    patch_own(403, "{\"metadata\":{\"labels\":{\"k8s.io/a\":null}}}");
    patch_own(403, "{\"metadata\":{\"labels\":null}}");
    patch_own(403, "{\"metadata\":{\"annotations\":{\"k8s.io/a\":\"c\"}}}");
    expect(403,
           CALL(&f, .method = "PUT", .path = WIDGETS "/anna", .body = WIDGET("anna", "{\"owner\":\"anna\"}"), ANNA));
    patch_own(200, "{\"metadata\":{\"labels\":{\"mine\":null}},\"spec\":{\"size\":2}}");
    struct answer *a = expect(200, CALL(&f, .path = WIDGETS "/anna"));
    assert_true(answer_has(a, "\"finalizers\":[\"a.example/b\"]") && answer_has(a, "\"labels\":{\"k8s.io/a\":\"b\"}"));
}

static void secrets_of_others_are_not_tried(void **state)
{
    int before = seen.prepared;

    expect(403, CALL(&f, .method = "PATCH", .path = WIDGETS "/b1", .body = "{\"spec\":{\"secret\":\"guess\"}}",
                     .type = "application/merge-patch+json", ANNA));
    assert_int_equal(seen.prepared, before);
}

static void own_watch(void **state)
{
    struct watching *w = watch_open(&f, &(struct call){.path = WIDGETS "?watch=1", ANNA});

    assert_string_equal(watch_next_text(w), "ADDED a1");
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("b2", "{\"owner\":\"bert\"}")));
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a2", "{\"owner\":\"anna\"}")));
    assert_string_equal(watch_next_text(w), "ADDED a2");
    /* What is given to somebody else is gone; what the other one made of it is not told. */
    expect(200, CALL(&f, .method = "PUT", .path = WIDGETS "/a2",
                     .body = WIDGET("a2", "{\"owner\":\"bert\",\"colour\":\"private\"}")));
    _cleanup_json_ yyjson_doc *doc = watch_next(w);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "type"), "DELETED");
    assert_string_equal(json_str_at(root, "object.spec.owner"), "anna");
    assert_null(json_at(root, "object.spec.colour"));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/b1"));
    expect(200, CALL(&f, .method = "DELETE", .path = WIDGETS "/a1"));
    assert_string_equal(watch_next_text(w), "DELETED a1");
    watch_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(nobody),
        TEST(denied),
        TEST(own_reads),
        TEST(names_of_others_are_no_business),
        TEST(own_writes),
        TEST(own_metadata),
        TEST(own_metadata_has_bounds),
        TEST(own_metadata_changed),
        TEST(secrets_of_others_are_not_tried),
        TEST(own_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
